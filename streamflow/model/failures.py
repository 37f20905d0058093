"""A failed item, as it is set aside or told to the caller."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from streamflow.model.errors import RecordError
from streamflow.model.positions import Gathered, Known, Position, Span
from streamflow.model.printable import encodable


@dataclass(frozen=True, slots=True)
class SentAgain:
    """Hold what a dead letter says of its item and where it failed; `position` is in plain values.

    One that fails before it is an item again is set aside as it was: it can be mended and sent another time.
    """

    item: Any
    stage: str
    operator: str
    index: int
    position: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Hold one failed item with all that is needed to understand it and to send it through again.

    `item` is what the failing operator was given; `index` the ordinal (from 0) of the item at its stage's input;
    `time` is in seconds since the epoch.
    """

    item: Any
    stage: str
    operator: str
    index: int
    position: Known | dict[str, Any]
    exception: str
    message: str
    traceback: str
    attempts: int
    time: float
    emitted: int = 0

    @classmethod
    def of(
        cls,
        error: BaseException,
        item: Any,
        stage: str,
        operator: str,
        index: int,
        position: Known,
        time: float,
        attempts: int = 1,
        emitted: int = 0,
    ) -> DeadLetter:
        """Build the record of `error`, which `operator` raised for `item`."""
        kind = type(error)
        known: Known | dict[str, Any] = position
        if isinstance(item, SentAgain):
            item, stage, operator, index, known = item.item, item.stage, item.operator, item.index, item.position
        return cls(
            item=item,
            stage=stage,
            operator=operator,
            index=index,
            position=known,
            exception=f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
            message=message_of(error),
            traceback="".join(traceback.format_exception(error)),
            attempts=attempts,
            time=time,
            emitted=emitted,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the record as plain values, `item` untouched; every other text has a form in UTF-8."""
        found = {name: getattr(self, name) for name in self.__slots__}
        found["position"] = None if self.position is None else _plain(self.position)
        return {name: value if name == "item" else _encodable(value) for name, value in found.items()}


def message_of(error: BaseException) -> str:
    """Return what an error says, also where somebody's `__str__` is broken."""
    try:
        return str(error)
    except Exception as failure:  # somebody's `__str__` is broken: the item must still be set aside
        return f"<its message could not be made: {type(failure).__name__}>"


def _plain(position: Position | Span | Gathered | dict[str, Any]) -> dict[str, Any]:
    values = position if isinstance(position, dict) else asdict(position)
    return {name: value for name, value in values.items() if value is not None}


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {name: _encodable(one) for name, one in value.items()}
    return tuple(map(_encodable, value)) if isinstance(value, tuple) else value


class Recordable:
    """Make of a dead letter the plain values that an encoder takes, and note in which `form` its item is there.

    `value`: the item itself. `text`: bytes, as UTF-8. `encoded`: what the encoder makes of it, from which it cannot be
    had again (a dataclass, a tuple, NaN). `escaped`: bytes that are no UTF-8. `cut`: the beginning of what was too
    long. `repr`: what Python shows of something that cannot be encoded.
    """

    def __init__(self, encode: Callable[[Any], bytes]) -> None:
        self._encode = encode

    def __call__(self, letter: DeadLetter) -> dict[str, Any]:
        """Return the record of `letter`."""
        record = letter.as_dict()
        if isinstance(letter.item, bytes):
            record["item"] = text = letter.item.decode("utf-8", "backslashreplace")
            whole = text.encode() == letter.item
            record["form"] = "cut" if letter.exception == _CUT else "text" if whole else "escaped"
            return record
        try:
            encoded = self._encode(letter.item)
        except Exception:
            record["item"] = encodable(repr(letter.item))
            record["form"] = "repr"
            return record
        record["form"] = "value" if _same(encoded, letter.item) else "encoded"
        return record


_CUT = f"{RecordError.__module__}.{RecordError.__qualname__}"


def _same(encoded: bytes, item: object) -> bool:
    """Tell whether `item` is what is read again from `encoded`."""
    try:
        return bool(json.loads(encoded) == item)
    except Exception:  # no JSON, or something with a comparison of its own, such as an array
        return False
