"""Which part reads or writes what a text names: by its suffix, its scheme, or the part's own name."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from streamflow.files.compression import SUFFIXES, without_suffix
from streamflow.model.errors import FlowError


class Registry:
    """Map names to parts by import strings, so that a part is imported when it is used.

    `parts` maps the name of a part to `module:attribute`; `suffixes` and `schemes` map `.jsonl` and `tcp` to
    names of parts; a text that is a name in `whole` (`-`) stands for a part by itself. Plugins add parts
    through the entry points of `group`, each called what it serves: `.csv` for a suffix, `tcp` for both a
    scheme and a name. A part is called with the text (one in `whole` without).
    """

    def __init__(
        self,
        what: str,
        group: str,
        parts: Mapping[str, str],
        suffixes: Mapping[str, str],
        schemes: Mapping[str, str] | None = None,
        whole: Mapping[str, str] | None = None,
    ) -> None:
        self._what = what
        self._group = group
        self._parts = dict(parts)
        self._suffixes = dict(suffixes)
        self._schemes = dict(schemes or {})
        self._whole = dict(whole or {})

    def resolve(self, text: str | os.PathLike[str]) -> Any:
        """Return the part that `text` names; raise FlowError that says what is known and what is near."""
        name = os.fspath(text)
        try:
            named = self.name_of(name)
        except FlowError as error:
            raise FlowError(
                f"{error}; or say what it is: an object of streamflow.{self._what}s in Python, "
                f'{{ type = "...", path = ... }} in TOML'
            ) from None
        part = self.load(named)
        return part() if name in self._whole else part(name)

    def name_of(self, text: str) -> str:
        """Return the name of the part that `text` stands for; raise FlowError as `resolve` does."""
        if text in self._whole:
            return self._whole[text]
        scheme, separator, _ = text.partition("://")
        if separator:
            return self._find(scheme, self._schemes, text, f"the scheme {scheme + separator!r}")
        stem, suffix = os.path.splitext(without_suffix(text))
        suffix = suffix.lower()
        if os.path.splitext(stem)[1].lower() in self._suffixes and suffix not in {*self._suffixes, *self._plugins()}:
            known = ", ".join(SUFFIXES)
            raise FlowError(f"{text!r} has the suffix {suffix!r}, which names no {self._what} (compressed: {known})")
        return self._find(suffix, self._suffixes, text, f"the suffix {suffix!r}" if suffix else "no suffix")

    def names(self) -> list[str]:
        """Return the names of all parts, those of plugins too."""
        return sorted({*self._parts, *(name for name in self._plugins() if not name.startswith("."))})

    def texts_of(self, part: str) -> list[str]:
        """Return the suffixes, schemes and whole texts by which `part` is meant."""
        schemes = {f"{scheme}://": name for scheme, name in self._schemes.items()}
        return [text for text, name in (self._suffixes | schemes | self._whole).items() if name == part]

    def load(self, part: str) -> Any:
        """Return the class or function called `part`, importing it now."""
        if part in self._parts:
            module, _, attribute = self._parts[part].partition(":")
            return getattr(import_module(module), attribute)
        plugin = self._plugins().get(part)
        if plugin is None:
            raise FlowError(f"there is no {self._what} called {part!r}{self._near(part, self._parts)}")
        return plugin.load()

    def _find(self, key: str, known: Mapping[str, str], text: str, reason: str) -> str:
        if key in known:
            return known[key]
        if not key or key not in self._plugins():
            raise FlowError(f"{text!r} has {reason}, which names no {self._what}{self._near(key, known)}")
        return key

    def _plugins(self) -> dict[str, Any]:
        from importlib.metadata import entry_points  # late: what we have ourselves is found without

        return {point.name: point for point in entry_points(group=self._group)}

    def _near(self, key: str, known: Mapping[str, str]) -> str:
        names = sorted({*known, *self._plugins()})
        near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
        listed = ", ".join([*names, *(self._whole if known is self._suffixes else ())]) or "none"
        return f" (did you mean {near[0]!r}? known: {listed})" if near else f" (known: {listed})"
