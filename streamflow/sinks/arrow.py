"""Arrow's own files and streams."""

from __future__ import annotations

import io
import sys
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from streamflow.codecs.arrow import ipc
from streamflow.files.compression import method_of, without_suffix
from streamflow.files.local import LocalOutput
from streamflow.files.target import Target
from streamflow.model.arguments import whole_number
from streamflow.model.errors import FlowError
from streamflow.sinks.table_groups import Groups
from streamflow.sinks.tables import TableSink

Compression = Literal["lz4", "zstd"]
Format = Literal["auto", "file", "stream"]
#: A record batch of dicts has so many rows, unless `batch_rows` says it; none has more bytes, about.
BATCH_ROWS = 1 << 16
BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class Arrow(TableSink):
    """Write an Arrow IPC file of dicts, or of pyarrow's RecordBatches: the first item decides.

    `.arrows` is a stream, which may go into a pipe, to standard output (`-`) or be compressed (`.arrows.gz`);
    `.arrow` and `.feather` are files. `format` says it where the suffix does not. Record batches have `batch_rows`
    rows, or about 8 MiB; their buffers are compressed by `compression` (`lz4`, `zstd`), if that is given. The columns
    of dicts are those of `schema`, or of the first 1,000 together. A record that does not fit them is a bad item, one
    that lacks a column has None there. The file appears when it is complete, also that of a flow without an end.
    """

    _: KW_ONLY
    format: Format = "auto"
    compression: Compression | None = None
    batch_rows: int = BATCH_ROWS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.format not in ("auto", "file", "stream"):
            raise FlowError(f"Arrow(format={self.format!r}): expected 'auto', 'file' or 'stream'")
        if self.compression not in ("lz4", "zstd", None):
            raise FlowError(f"Arrow(compression={self.compression!r}): expected 'lz4', 'zstd' or None")
        whole_number("Arrow(batch_rows=...)", self.batch_rows, 1)
        if method_of(self.label, "auto") is not None and not self.is_stream:
            raise FlowError(f"Arrow({self.label!r}): it is read at any place, so only a stream can be compressed whole")
        if self.schema is not None:
            self.begin(io.BytesIO(), self.schema).close()

    @property
    def is_stream(self) -> bool:
        """Tell whether it is a stream: as was said, or as the suffix says."""
        if self.format != "auto":
            return self.format == "stream"
        return self.label == "-" or without_suffix(self.label).lower().endswith(".arrows")

    @property
    def file(self) -> str | None:
        """Return the absolute path; standard output has none."""
        return None if self.label == "-" else super().file

    def target(self, bounded: bool, mark: str | None) -> Target:
        """Open a new file, or standard output."""
        if self.label == "-":
            if sys.stdout is not None:
                sys.stdout.flush()
            return Target(self.files, LocalOutput(1, "stdout", owned=False), "stdout", None)
        return Target.open(self.files, self.label, complete=True, method=method_of(self.label, "auto"), lines=False)

    def groups(self) -> Groups:
        """Return what gathers record batches."""
        return Groups(self.batch_rows, BATCH_BYTES)

    def begin(self, file: Any, schema: Any) -> Any:
        """Begin a file or a stream."""
        options = ipc().IpcWriteOptions(compression=self.compression)
        return (ipc().new_stream if self.is_stream else ipc().new_file)(file, schema, options=options)

    def write_group(self, table: Any, group: Any) -> None:
        """Write one record batch."""
        for batch in group.combine_chunks().to_batches():
            table.write_batch(batch)
