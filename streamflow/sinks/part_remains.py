"""What a run that was broken off has left of parts that nothing is known of. Everything here blocks."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

from streamflow.files.file_system import FileSystem
from streamflow.sinks.part_names import PartNames


def remove_remains(files: FileSystem, names: PartNames, mark: str, known: Collection[str]) -> None:
    """Remove the temporary files that have `mark` in their names, and are not `known` by name."""
    for path in list(_marked(files, names.folder, names.depth, mark)):
        if os.path.basename(path) not in known:
            files.remove(path)


def _marked(files: FileSystem, folder: str, depth: int, mark: str) -> Iterator[str]:
    """Yield what has the mark, in `folder` and as many levels of folders below it as parts may be in."""
    for name in files.names(folder or "."):
        path = os.path.join(folder, name)
        if name.startswith(".") and name.endswith(".part") and f".{mark}-" in name:
            yield path
        elif depth and files.kind(path) == "directory":
            yield from _marked(files, path, depth - 1, mark)
