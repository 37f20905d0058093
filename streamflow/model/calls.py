"""A call whose further arguments are known beforehand, written so that generated code can make it directly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class InlineCall:
    """Be `function(item, *arguments) + suffix`.

    Called, it costs a Python function around a C function; spelled out in a fused function it costs the C function.
    """

    __slots__ = ("arguments", "function", "suffix")

    def __init__(self, function: Callable[..., Any], *arguments: Any, suffix: bytes = b"") -> None:
        self.function = function
        self.arguments = arguments
        self.suffix = suffix

    def __call__(self, item: Any) -> Any:
        """Make the call."""
        result = self.function(item, *self.arguments)
        return result + self.suffix if self.suffix else result

    @property
    def line(self) -> str:
        """Return the statement for a generated loop: `f` is the function, `k.0`, `k.1` … the arguments."""
        arguments = "".join(f", k.{n}" for n in range(len(self.arguments)))
        return f"x = f(x{arguments})" + (f" + {self.suffix!r}" if self.suffix else "")
