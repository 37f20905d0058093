"""What is decided about a followed file, said one case at a time."""

from __future__ import annotations

import pytest

from streamflow.files.tail_state import LINGER, Here, Look, Seen, TailState, rotation_order, turn_of

AT_END = Here(0, intact=True)


def seen(name: str, inode: int, text: str) -> Seen:
    return Seen(name, 1, inode, len(text), text.encode())


OLD, NEXT, EMPTY, BETWEEN = seen("log.1", 1, "a\n"), seen("log", 2, "b\n"), seen("log", 2, ""), seen("log.1", 3, "c\n")


def reading(one: Seen = OLD) -> TailState:
    state = TailState()
    state.opened(one, ())
    state.took(one.head, one.size)
    return state


def test_a_file_is_not_left_for_one_in_which_nothing_is() -> None:
    state = reading()
    for now in (0.0, LINGER, 100.0):
        assert state.decide(Look(now, AT_END, EMPTY, (OLD,))).kind == "wait"
    assert state.decide(Look(100.0, AT_END, None, (OLD,))).kind == "wait"


def test_a_file_is_left_some_time_after_lines_were_seen_in_the_next_one() -> None:
    state = reading()
    step = state.decide(Look(5.0, AT_END, NEXT, (OLD,)))
    assert (step.kind, step.within) == ("wait", LINGER)
    assert state.decide(Look(5.0 + LINGER / 2, Here(1, intact=True), NEXT, (OLD,))).kind == "take"
    step = state.decide(Look(5.0 + LINGER, AT_END, NEXT, (OLD,)))
    assert (step.kind, step.to) == ("turn", NEXT)


def test_the_one_in_between_comes_first_and_its_time_has_passed_as_well() -> None:
    state = reading()
    state.decide(Look(0.0, AT_END, NEXT, (OLD, BETWEEN)))
    assert state.decide(Look(LINGER, AT_END, NEXT, (OLD, BETWEEN))).to == BETWEEN
    state.opened(BETWEEN, (OLD, BETWEEN))
    assert state.decide(Look(LINGER, Here(2, intact=True), NEXT, (OLD, BETWEEN))).kind == "take"
    assert state.decide(Look(LINGER, AT_END, NEXT, (OLD, BETWEEN))).to == NEXT


def test_an_inode_that_another_file_has_by_now_is_another_file() -> None:
    state = TailState()
    state.passes([OLD, seen("log.2", 4, "")])
    state.opened(NEXT, (OLD, seen("log.2", 4, "")))
    assert state.knows(seen("log.7", 1, "a\nand more"))
    assert not state.knows(seen("log.7", 1, "b\n"))
    assert state.knows(seen("log.7", 4, ""))
    assert not state.knows(seen("log.7", 4, "late"))


def test_what_was_emptied_is_read_again_before_anything_else() -> None:
    for got in (0, 5):
        assert reading().decide(Look(0.0, Here(got, intact=False), NEXT, (OLD,))).kind == "again"


@pytest.mark.parametrize(
    ("names", "followed"),
    [
        (["app.log.10", "app.log.9", "app.log.1"], "app.log"),
        (["srv2026.log.2", "srv2026.log.1"], "srv2026.log"),
        (["app.log-20261231", "app.log-20270101", "app.log-20270101-2", "app.log-20270101-10"], "app.log"),
        (["app.2026-02-28.log", "app.2026-11-01.log"], "app.log"),
        (["app@2026-11-01T10:00:00", "app@2026-11-01T11:00:00"], "app"),
    ],
)
def test_rotated_files_stand_in_the_order_of_their_rotation(names: list[str], followed: str) -> None:
    turns = [turn_of(name, followed) for name in names]
    assert None not in turns
    # The times of their last lines are no help: another writer has written to the oldest one last.
    keys = [rotation_order(turn or "", 100 - n) for n, turn in enumerate(turns)]
    assert keys == sorted(keys)


def test_days_before_years_stand_in_the_order_of_their_last_lines() -> None:
    assert rotation_order("-01-12-2026", 2) > rotation_order("-30-11-2026", 1)


@pytest.mark.parametrize(
    "name", ["app.log", "app.log.bak", "app.log.1.gz", "app-errors.log", "app.log~", "app.log1", "x.1"]
)
def test_other_files_are_none_of_ours(name: str) -> None:
    assert turn_of(name, "app.log") is None
