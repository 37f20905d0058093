"""JSON Lines: one JSON value a line, as plain values or straight to a type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from streamflow.model.calls import InlineCall
from streamflow.model.errors import FlowError, NoForm
from streamflow.model.interfaces import Codec

Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes]


class JsonLinesCodec(Codec[Any]):
    """Turn lines of JSON into values, or into `type` (a msgspec Struct, a dataclass, a TypedDict), and back.

    With `type`, decoding validates: what does not fit raises `msgspec.ValidationError`, which is a ValueError
    and names the path to the field. Encoding takes Structs, dataclasses and numpy values with or without it;
    it is fastest for dicts without, and for everything else with it.

    >>> codec = JsonLinesCodec()
    >>> codec.encode(codec.decode(b'{"a": 1}'))
    b'{"a":1}\\n'
    """

    def __init__(self, type: Any = None) -> None:
        self.type = type
        #: What `decode` calls, to be bound once by whoever decodes much: a C function.
        self.decoder: Decode = orjson.loads if type is None else _typed_decoder(type)
        #: What `encode` calls, to be bound once by whoever encodes much.
        self.encoder: Encode = _plain_encoder() if type is None else _typed_encoder()

    def decode(self, record: bytes) -> Any:
        """Return the value of one line; raise a ValueError that says what is wrong with it."""
        return self.decoder(record)

    def encode(self, item: Any) -> bytes:
        """Return `item` as one line; raise TypeError if JSON has no form for it."""
        return self.encoder(item)

    def __repr__(self) -> str:
        return f"JsonLinesCodec({'' if self.type is None else getattr(self.type, '__name__', self.type)})"


def _typed_decoder(type: Any) -> Decode:
    try:
        return msgspec.json.Decoder(type).decode
    except (TypeError, NameError) as error:
        raise FlowError(f"type={type!r}: JSON cannot be decoded to it: {error}") from error


def _typed_encoder() -> Encode:
    return InlineCall(msgspec.json.Encoder(enc_hook=_foreign).encode, suffix=b"\n")


def _plain_encoder() -> Encode:
    return _EitherEncoder()


class _EitherEncoder(InlineCall):
    """Encode dicts by orjson and Structs by msgspec: each is the faster one for its own (by a third, measured)."""

    def __init__(self) -> None:
        encode_struct = msgspec.json.Encoder(enc_hook=_foreign).encode
        super().__init__(orjson.dumps, _foreign, orjson.OPT_APPEND_NEWLINE, encode_struct, type(msgspec.Struct))

    def __call__(self, item: Any) -> bytes:
        foreign, option, encode_struct, struct = self.arguments
        encoded: bytes
        if item.__class__.__class__ is struct:
            encoded = encode_struct(item) + b"\n"
        else:
            encoded = self.function(item, foreign, option)
        return encoded

    @property
    def line(self) -> str:
        """Return the same, spelled out."""
        return "x = k.2(x) + b'\\n' if x.__class__.__class__ is k.3 else f(x, k.0, k.1)"


def _foreign(value: Any) -> Any:
    """Give JSON's form of a value which the encoder does not know; TypeError if there is none."""
    kind = type(value)
    if isinstance(value, msgspec.Struct):
        return orjson.Fragment(msgspec.json.encode(value, enc_hook=_foreign))
    if kind.__module__ == "numpy":
        # Not an option of every call: orjson would import numpy for each type that it does not know.
        return orjson.loads(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY))
    if isinstance(value, tuple):
        # One with names, which are not to be lost; the encoder takes plain ones itself.
        return dict(zip(kind._fields, value, strict=True)) if hasattr(kind, "_fields") else list(value)
    way = _WAYS.get(kind.__qualname__, "make a dict, list, str or number of it")
    raise NoForm(f"JSON has no form for {kind.__qualname__}: {way} in a .map(...) before the sink")


#: How what tables hold becomes what JSON has.
_WAYS = {
    "Decimal": "make str(value) of it, or float(value),",
    "bytes": "make value.decode(), value.hex() or base64 of it",
    "timedelta": "make value.total_seconds() of it",
}
