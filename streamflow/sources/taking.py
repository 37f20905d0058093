"""Good records are handed on; a bad one among them raises its error where it is taken."""

from __future__ import annotations

from typing import Any

from streamflow.model.calls import InlineCall


class Take(InlineCall):
    """Return a record, or raise the `error` of one whose class is `bad`."""

    def __init__(self, bad: type) -> None:
        super().__init__(bad, bad)

    def __call__(self, item: Any) -> Any:
        """Look at one record."""
        if item.__class__ is self.function:
            raise item.error
        return item

    @property
    def line(self) -> str:
        """Return the same, spelled out."""
        return "if x.__class__ is k.0: raise x.error"
