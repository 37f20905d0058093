"""What the operators share that fold the items of each key into a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from streamflow.operators.element import ElementOperator
from streamflow.operators.recipe import Recipe


class Folding(ElementOperator):
    """Be an operator in whose cells items end; what comes out is made of the cells."""

    key: Callable[[Any], Any]
    recipe: Recipe

    @property
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """Return the key's function, then those of the aggregations."""
        return (self.key, *self.recipe.functions)

    @property
    def names(self) -> Mapping[str, Any]:
        """Return what the text of the aggregations refers to."""
        return self.recipe.texts

    @property
    def folds(self) -> bool:
        """Tell that items end here."""
        return True

    @property
    def multiplies(self) -> bool:
        """Tell that many items become one."""
        return True
