"""How an answer finds the one who asked: the question's position travels with the item, and holds the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from streamflow.model.errors import NoResult
from streamflow.model.interfaces import Sink, Writer
from streamflow.model.positions import Answerable, Gathered, Position


class Question(NamedTuple):
    """Hold, in an inbox, an item whose sender waits for the answer."""

    item: Any
    answer: asyncio.Future[Any]


class Asked(Position, Answerable):
    """Be the position of an item somebody waits for.

    When the last reference goes without an answer, the item has been dropped: that is when the asker learns it.
    """

    __slots__ = ("_answer",)
    _answer: asyncio.Future[Any]

    def __init__(self, source: str, index: int, answer: asyncio.Future[Any]) -> None:
        super().__init__(source, index=index)
        object.__setattr__(self, "_answer", answer)

    def answer(self, result: object) -> None:
        """Give the result to the asker, unless there is one already: the first of several counts."""
        if not self._answer.done():
            self._answer.set_result(result)

    def reject(self, error: BaseException) -> None:
        """Give the error to the asker."""
        if not self._answer.done():
            self._answer.set_exception(error)

    def __del__(self) -> None:
        answer = self._answer
        if answer.done() or answer.get_loop().is_closed():
            return
        # The last reference may go in another thread, by the garbage collector.
        answer.get_loop().call_soon_threadsafe(
            self._drop, answer, f"the flow gave no answer to {self}: the item was dropped, or the run ended before"
        )

    @staticmethod
    def _drop(answer: asyncio.Future[Any], reason: str) -> None:
        if not answer.done():
            answer.set_exception(NoResult(reason))


@dataclass(frozen=True, kw_only=True)
class Answers(Sink[Any]):
    """Give each result to whoever asked; what was merely sent ends here. `asked` are those who wait."""

    asked: set[asyncio.Future[Any]]

    @property
    def label(self) -> str:
        """Return what results are given to."""
        return "answers"

    @property
    def wants_positions(self) -> bool:
        """Tell that the way back is in the position."""
        return True

    async def open(self, bounded: bool) -> Writer[Any]:
        """Open nothing."""
        return AnswerWriter(self.asked)


class AnswerWriter(Writer[Any]):
    """Hand results back; at the end of the run, tell those who still wait that none will come."""

    def __init__(self, asked: set[asyncio.Future[Any]]) -> None:
        self._asked = asked

    async def close(self) -> None:
        """Let nobody wait for a run that is gone."""
        for answer in tuple(self._asked):
            if not answer.done():
                answer.set_exception(NoResult("the flow gave no answer: the run ended before"))

    async def write(self, batch: Sequence[Any]) -> None:
        """Answer each; a list made by `batch` answers all whose items are in it."""
        for result, position in batch:
            for one in position.positions if isinstance(position, Gathered) else (position,):
                if isinstance(one, Answerable):
                    one.answer(result)
