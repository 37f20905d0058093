"""Reading a checkpoint that somebody else has prepared runs nothing of what he likes: a canary proves it."""

from __future__ import annotations

import dataclasses
import os
import pickle
import struct
import sys
import types
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from streamflow.model.errors import CheckpointDamaged, CheckpointMismatch
from streamflow.state.encoding import decode, encode

CANARY: list[object] = []


def sing(*arguments: object) -> str:
    CANARY.append(arguments)
    return "sung"


class Bird:
    """Sing when it is made, called, or asked for anything: a user's class that must not be called."""

    def __init__(self, *arguments: object) -> None:
        sing(arguments)


@dataclasses.dataclass
class Harmless:
    x: Any = None


class Child(psutil.Popen):  # type: ignore[misc]
    pass


def short(text: str) -> bytes:
    raw = text.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def name(module: str, qualname: str) -> bytes:
    """Push a global, by opcode 4 of today."""
    return short(module) + short(qualname) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def new(kind: bytes, *arguments: bytes) -> bytes:
    return kind + b"(" + b"".join(arguments) + b"t\x81"


def build(target: bytes, state: bytes) -> bytes:
    return target + state + b"b"


def whole(body: bytes) -> bytes:
    return b"\x80\x05" + body + b"."


def opener(which: str) -> bytes:
    return name(OURS, which)


HERE = __name__
OURS = "streamflow.state.openers"
SHELL = short("touch canary")
SING = name(HERE, "sing")
HOSTILE = {
    "os.system": call(name("os", "system"), SHELL),
    "posix.system": call(name("posix", "system"), SHELL),
    "os.system, as a name of old": b"cos\nsystem\n(" + SHELL + b"tR",
    "os.system, by INST": b"(" + SHELL + b"ios\nsystem\n",
    "os.system, by OBJ": b"(" + name("os", "system") + SHELL + b"o",
    "subprocess.Popen": call(name("subprocess", "Popen"), SHELL),
    "subprocess.Popen, by NEWOBJ": new(name("subprocess", "Popen"), SHELL),
    "eval": call(name("builtins", "eval"), short("__import__('os').system('touch canary')")),
    "eval, by its old name": call(name("__builtin__", "eval"), short("1")),
    "exec": call(name("builtins", "exec"), short("open('canary','w')")),
    "compile": call(name("builtins", "compile"), short("1"), short("x"), short("eval")),
    "open": call(name("builtins", "open"), short("canary"), short("w")),
    "io.open": call(name("io", "open"), short("canary"), short("w")),
    "io.FileIO": call(name("io", "FileIO"), short("canary"), short("w")),
    "getattr": call(name("builtins", "getattr"), short("x"), short("upper")),
    "setattr": name("builtins", "setattr"),
    "__import__": call(name("builtins", "__import__"), short("antigravity")),
    "importlib": call(name("importlib", "import_module"), short("antigravity")),
    "a module that opens a browser": name("antigravity", "fly"),
    "a dotted name": call(name("pathlib", "os.system"), SHELL),
    "a dotted name through a module of ours": call(name(OURS, "ipaddress.functools.partial"), SING),
    "a dotted name through an opener": call(name(OURS, "instances._call"), short("os"), short("x")),
    "functools.partial": call(name("functools", "partial"), SING),
    "functools.reduce": call(name("functools", "reduce"), SING, b"]"),
    "operator.methodcaller": call(name("operator", "methodcaller"), short("system"), SHELL),
    "operator.attrgetter": call(name("operator", "attrgetter"), short("system")),
    "types.FunctionType": name("types", "FunctionType"),
    "types.CodeType": name("types", "CodeType"),
    "type": call(name("builtins", "type"), short("X"), b")", b"}"),
    "map": call(name("builtins", "map"), SING, b"]"),
    "runpy": call(name("runpy", "run_path"), short("canary.py")),
    "shutil.rmtree": call(name("shutil", "rmtree"), short("x")),
    "webbrowser": call(name("webbrowser", "open"), short("x")),
    "copyreg": call(name("copyreg", "_reconstructor"), SING),
    "pickle itself": call(name("pickle", "loads"), b"C\x01."),
    "cloudpickle": call(name("cloudpickle.cloudpickle", "_make_function"), b")"),
    "numpy's loader": call(name("numpy", "load"), short("x")),
    "numpy's array": call(name("numpy", "ndarray"), b")"),
    "a user's function": call(SING),
    "a user's class": call(name(HERE, "Bird")),
    "a user's class, by NEWOBJ": new(name(HERE, "Bird")),
    "a user's class, made through calls": call(call(opener("calls"), short(HERE), short("Bird"))),
    "a user's function through instances": call(call(opener("instances"), short(HERE), short("sing"))),
    "a third party's class that runs things": call(call(opener("calls"), short("psutil"), short("Popen")), SHELL),
    "one derived from it": call(call(opener("calls"), short(HERE), short("Child")), SHELL),
    "a class of the library": call(opener("instances"), short("subprocess"), short("Popen")),
    "a class of the library, re-exported": call(opener("instances"), short(HERE), short("Path")),
    "a class under another module's name": call(opener("instances"), short(OURS), short("Opener")),
    "through a module": call(opener("instances"), short(HERE), short("os.system")),
    "through a module to a class": call(opener("instances"), short(HERE), short("psutil.Popen")),
    "a class that makes classes": call(opener("instances"), short("builtins"), short("type")),
    "a function as an enum": call(call(opener("members"), short(HERE), short("Harmless")), b"K\x01"),
    "a class as a struct": call(call(opener("structs"), short(HERE), short("Harmless"))),
    "named arguments for what is no maker": call(opener("instances_with"), name("builtins", "dict"), b")", b"}"),
    "a path of another kind": call(opener("by_text"), short("Opener"), short("x")),
    "an opener that is changed": build(opener("instances"), b"}" + short("_call") + short("x") + b"s"),
    "an opener that is changed by its slots": build(
        opener("instances"), b"N}" + short("_call") + short("x") + b"s\x86"
    ),
    "a maker that is changed": build(
        call(opener("instances"), short(HERE), short("Harmless")), b"N}" + short("_make") + short("x") + b"s\x86"
    ),
    "a type of Python's that is changed": build(
        name("collections", "OrderedDict"), b"N}" + short("__init__") + short("x") + b"s\x86"
    ),
    "an array of pointers": call(
        opener("array"), short("|O"), b"(K\x01t", short("C"), b"C\x08" + struct.pack("q", 0x41414141)
    ),
    "a scalar that is a pointer": call(opener("scalar"), short("|O"), b"C\x08" + struct.pack("q", 0x41414141)),
    "an array longer than its bytes": call(opener("array"), short("<f8"), b"(M\xff\xfft", short("C"), b"C\x00"),
    "an array over something else": call(opener("array"), short("<f8"), b"(K\x01t", short("C"), opener("uuid")),
    "a persistent name": b"Pos.system\n",
    "an extension": b"\x82\x01",
    "a buffer from outside": b"\x97",
    "a zone out of its folder": call(opener("zone"), short("../../../etc/passwd")),
    "nothing": b"",
    "a memo that is not there": b"h\x05",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_checkpoint_is_refused_and_runs_nothing(
    body: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    CANARY.clear()
    modules = set(sys.modules)
    children = psutil.Process().children()
    with pytest.raises((CheckpointDamaged, CheckpointMismatch)):
        decode(whole(body))
    assert CANARY == []
    assert os.listdir(tmp_path) == []
    assert psutil.Process().children() == children
    assert {"antigravity", "webbrowser", "runpy"} & (set(sys.modules) - modules) == set()


def test_the_canary_sings_where_nobody_watches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, HERE, types.ModuleType(HERE))
    vars(sys.modules[HERE])["sing"] = sing
    CANARY.clear()
    pickle.loads(whole(HOSTILE["a user's function"]))
    pickle.loads(whole(HOSTILE["os.system"]))
    assert CANARY == [()]
    assert os.listdir(tmp_path) == ["canary"]


def test_an_instance_is_made_without_its_init() -> None:
    CANARY.clear()
    made = decode(whole(call(call(opener("instances"), short(HERE), short("Bird")))))
    assert type(made) is Bird
    assert CANARY == []


def test_nothing_is_imported_that_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_script_that_acts.py").write_text("open('canary', 'w')\nclass Thing: pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CheckpointMismatch, match="import a_script_that_acts where the flow is described"):
        decode(whole(call(opener("instances"), short("a_script_that_acts"), short("Thing"))))
    assert not (tmp_path / "canary").exists()


def test_cut_and_mangled_pickles_are_errors_of_ours_or_values() -> None:
    data = encode({"a": [1, 2.5, "x"], "b": Harmless(np.arange(3)), "c": {4}})
    for length in range(len(data)):
        with pytest.raises(CheckpointDamaged):
            decode(data[:length])
    for at in range(len(data)):
        for flip in (1, 0x80, 0xFF):
            mangled = bytearray(data)
            mangled[at] ^= flip
            with suppress(CheckpointDamaged, CheckpointMismatch):
                decode(bytes(mangled))
