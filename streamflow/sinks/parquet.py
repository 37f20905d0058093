"""A Parquet file."""

from __future__ import annotations

import io
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, get_args

from streamflow.codecs.arrow import arrow, parquet
from streamflow.files.compression import method_of
from streamflow.model.arguments import whole_number
from streamflow.model.errors import FlowError
from streamflow.sinks.table_groups import Groups
from streamflow.sinks.tables import TableSink

Compression = Literal["zstd", "snappy", "gzip", "brotli", "lz4"]
#: Bytes of a row group in memory, where `row_group_rows` does not say how many rows it has.
GROUP_BYTES = 16 << 20


@dataclass(frozen=True)
class Parquet(TableSink):
    """Write a Parquet file (.parquet) of dicts, or of pyarrow's RecordBatches: the first item decides.

    The columns of dicts are those of `schema`, or of the first 1,000 together. A record that does not fit them is a bad
    item, one that lacks a column has None there. A row group has `row_group_rows` rows, or ends at about
    `row_group_bytes` (in memory). The file appears when it is complete, also that of a flow without an end.
    """

    _: KW_ONLY
    compression: Compression | None = "zstd"
    row_group_rows: int | None = None
    row_group_bytes: int = GROUP_BYTES

    def __post_init__(self) -> None:
        super().__post_init__()
        if method_of(self.label, "auto") is not None:
            raise FlowError(
                f"Parquet({self.label!r}): it is compressed inside: leave that suffix out, say compression="
            )
        if self.compression is not None and self.compression not in get_args(Compression):
            known = ", ".join(map(repr, get_args(Compression)))
            raise FlowError(f"Parquet(compression={self.compression!r}): expected {known} or None")
        whole_number("Parquet(row_group_bytes=...)", self.row_group_bytes, 1)
        if self.row_group_rows is not None:
            whole_number("Parquet(row_group_rows=...)", self.row_group_rows, 1)
        if self.schema is not None:
            self._try_schema()

    def _try_schema(self) -> None:
        try:
            self.begin(io.BytesIO(), self.schema).close()
        except Exception as error:
            raise FlowError(f"Parquet(schema=...): there is no such Parquet file: {error}") from None

    def groups(self) -> Groups:
        """Return what gathers row groups."""
        return Groups(self.row_group_rows, self.row_group_bytes)

    def begin(self, file: Any, schema: Any) -> Any:
        """Begin a Parquet file."""
        texts = [field.name for field in schema if _is_text(field.type)]
        return parquet().ParquetWriter(file, schema, compression=self.compression or "none", use_dictionary=texts)

    def write_group(self, table: Any, group: Any) -> None:
        """Write one row group."""
        table.write_table(group, row_group_size=group.num_rows)


def _is_text(type: Any) -> bool:
    """Tell whether a dictionary of its values is worth its memory: for numbers, compression alone does as well."""
    types = arrow().types
    return bool(
        types.is_string(type) or types.is_large_string(type) or types.is_binary(type) or types.is_dictionary(type)
    )
