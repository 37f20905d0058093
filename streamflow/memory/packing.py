"""Objects to bytes and back by pickle's fifth protocol: large buffers travel beside the pickle, not within it."""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable, Iterable
from pickle import PickleBuffer
from typing import Any, Final, NamedTuple

from streamflow.memory.plain_arrays import Meta, arrays_over, metas_of

#: Below this, a copy through the pipe costs less than what a block in an arena asks of both sides.
THRESHOLD: Final = 64 * 1024


class Packed(NamedTuple):
    """Be an object that was taken apart; the buffers are still its own memory, nothing of them is copied.

    Of a list of plain arrays, `payload` says what each of them is; else it is a pickle.
    """

    payload: bytes | list[Meta]
    #: In the order in which `unpack` wants them; each is contiguous, and `raw()` gives its bytes.
    buffers: list[PickleBuffer]


def pack(obj: Any, threshold: int = THRESHOLD, *, pickler: type[pickle.Pickler] = pickle.Pickler) -> Packed:
    """Pickle `obj`, and leave its buffers of at least `threshold` bytes out.

    That are those of arrays and Arrow data at any depth, and `bytes` and `bytearray` that are the object itself or
    an item of the list that it is. `pickler` may be cloudpickle's. Raises what pickling raises.
    """
    if type(obj) is list and obj and (metas := metas_of(obj, threshold)) is not None:
        return Packed(metas, [PickleBuffer(array) for array in obj])
    buffers: list[PickleBuffer] = []

    def in_band(buffer: PickleBuffer) -> bool:
        if buffer.raw().nbytes < threshold:
            return True
        buffers.append(buffer)
        return False

    reducers = _array_reducers()
    if pickler is pickle.Pickler and not reducers:
        return Packed(pickle.dumps(_wrapped(obj, threshold), protocol=5, buffer_callback=in_band), buffers)
    file = io.BytesIO()
    _writer(pickler, file, in_band, reducers).dump(_wrapped(obj, threshold))
    return Packed(file.getvalue(), buffers)


def _writer(
    pickler: type[pickle.Pickler],
    file: io.BytesIO,
    in_band: Callable[[PickleBuffer], bool],
    reducers: dict[type, Callable[[Any], Any]],
) -> pickle.Pickler:
    # A table of its own: the one of copyreg is the whole process's.
    if pickler is pickle.Pickler:
        writer = pickler(file, protocol=5, buffer_callback=in_band)
        writer.dispatch_table = {**copyreg.dispatch_table, **reducers}
        return writer
    # One that is derived looks for its table once, when it is made, and finds that of its class.
    table = ChainMap(reducers, getattr(pickler, "dispatch_table", copyreg.dispatch_table))
    extended: type[pickle.Pickler] = type(pickler.__name__, (pickler,), {"dispatch_table": table})
    return extended(file, protocol=5, buffer_callback=in_band)


def unpack(payload: bytes | memoryview | list[Meta], views: Iterable[Any]) -> Any:
    """Put an object together again over `views`, the buffers of its `Packed` or copies of them.

    Arrays lie right over the views and keep them alive; `bytes` and `bytearray` are copied out. The caller must drop
    the views (and a list of them), or they count as in use.
    """
    return arrays_over(payload, views) if isinstance(payload, list) else pickle.loads(payload, buffers=views)


# Bytes: pickle itself leaves only those out that say so by a PickleBuffer.


_BYTES: Final = frozenset((bytes, bytearray))


class _Wrapped:
    __slots__ = ("value",)

    def __init__(self, value: bytes | bytearray) -> None:
        self.value = value

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self.value), (PickleBuffer(self.value),)


def _wrapped(obj: Any, threshold: int) -> Any:
    if type(obj) in _BYTES:
        return _Wrapped(obj) if len(obj) >= threshold else obj
    # A look at the types first: it costs a quarter, and most lists hold no bytes.
    if type(obj) is list and not _BYTES.isdisjoint(map(type, obj)):
        large = [index for index, item in enumerate(obj) if type(item) in _BYTES and len(item) >= threshold]
        return _with_wrapped(obj, large) if large else obj
    return obj


def _with_wrapped(items: list[Any], indices: list[int]) -> list[Any]:
    # One wrapper per object: what stands there twice crosses once, and is one object at the other end too.
    wrappers: dict[int, _Wrapped] = {}
    items = items.copy()
    for index in indices:
        item = items[index]
        items[index] = wrappers.setdefault(id(item), _Wrapped(item))
    return items


# Arrays: NumPy's own pickling leaves contiguous ones of plain types out, and forgets of the others whether they may
# be written to. What is here does both for all. NumPy is looked up, never imported: without it there are no arrays.


def _array_reducers() -> dict[Any, Callable[[Any], Any]]:
    array = getattr(sys.modules.get("numpy"), "ndarray", None)  # a part of it only, while it is being imported
    masked = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    return {kind: reduce for kind, reduce in ((array, _reduce_array), (masked, _reduce_other)) if kind is not None}


def _reduce_array(array: Any) -> Any:
    if array.dtype.hasobject:
        return _reduce_other(array)
    if not array.flags.forc:
        array = _contiguous(array)
    if array.dtype.kind in "mM":  # times have no form in the buffer protocol, their numbers do
        return _as_dtype, (array.view("u8"), array.dtype)
    reduced = array.__reduce_ex__(5)
    return reduced if len(reduced) == 2 else _keeping_flag(array, reduced)


def _contiguous(array: Any) -> Any:
    copy = array.copy()
    copy.flags.writeable = array.flags.writeable
    return copy


def _reduce_other(array: Any) -> Any:
    return _keeping_flag(array, array.__reduce_ex__(5))


def _keeping_flag(array: Any, reduced: Any) -> Any:
    if array.flags.writeable or len(reduced) != 3:
        return reduced
    make, arguments, state = reduced
    return make, arguments, state, None, None, _set_read_only


def _set_read_only(array: Any, state: Any) -> None:
    array.__setstate__(state)
    array.flags.writeable = False


def _as_dtype(numbers: Any, dtype: Any) -> Any:
    return numbers.view(dtype)
