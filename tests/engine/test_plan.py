"""What is decided before anything runs: what is fused, where edges stand and why, and what is refused."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import streamflow as sf


async def fetch(n: int) -> int:
    return n


class AsyncCallable:
    async def __call__(self, n: int) -> int:
        return n

    async def method(self, n: int) -> int:
        return n


def stages(flow: sf.Flow[Any]) -> list[tuple[str, ...]]:
    return [stage.labels for stage in flow.to(None).plan.stages]


def test_neighbours_are_fused_with_source_and_sink() -> None:
    flow = sf.flow([1]).map(str).filter(bool).tap(print).take(3).skip(1).distinct()
    assert stages(flow) == [
        ("list", "map(str)", "filter(bool)", "tap(print)", "take(3)", "skip(1)", "distinct", "Null")
    ]


@pytest.mark.parametrize(
    ("flow", "count", "why"),
    [
        (sf.flow([1]).buffer(3).map(str), 2, "a buffer was asked for"),
        (sf.flow([1]).map(fetch).map(str), 3, "it waits"),
        (sf.flow([1]).flat_map(range), 3, "it makes many items of one"),
        (sf.flow([1]).batch(2).map(len), 2, "the stage before it stands alone"),
        (sf.flow([1]).buffer(1).buffer(2), 3, "it stands between two edges"),
        (sf.flow([1]).throttle(5), 3, "it keeps time"),
    ],
)
def test_each_boundary_has_its_reason(flow: sf.Flow[Any], count: int, why: str) -> None:
    plan = flow.to(None).plan
    assert len(plan.stages) == count
    assert any(why in stage.why for stage in plan.stages)
    assert why in flow.explain()


TWO, FOUR = sf.processes(2), sf.threads(4)


@pytest.mark.parametrize(
    ("flow", "why"),
    [
        (sf.flow([1]).map(str, on=TWO).map(len, on=FOUR), "runs on threads(4), and what comes before it runs on proc"),
        (sf.flow([1]).map(str, on=TWO).map(len, on=sf.processes(2, timeout=5)), "workers with other settings"),
        (sf.flow([1]).map(str, on=TWO, ordered=False).map(len, on=TWO), "it is ordered, what comes before it is unord"),
        (sf.flow([1]).map(str, on=TWO).map(len, on=TWO, timeout=5), "its timeout is 5 s, before it that is none"),
        (sf.flow([1]).map(str, on=TWO).map(len, on=TWO, retry=sf.Retry(attempts=2)), "it has retries of its own"),
        (sf.flow([1]).map(str, on=TWO).buffer(9).map(len, on=TWO), "a buffer was asked for before it"),
    ],
)
def test_each_boundary_between_two_placed_stages_has_its_reason(flow: sf.Flow[Any], why: str) -> None:
    plan = flow.to(None).plan
    assert [len(stage.placed) for stage in plan.stages] == [0, 1, 1, 0]
    assert why in plan.stages[2].why
    assert why in flow.explain()


def test_neighbours_in_one_place_cross_together_and_every_picture_says_where() -> None:
    flow = sf.flow([1]).map(str, on=sf.processes(2)).filter(bool, on=sf.processes(2)).tap(len, on=sf.processes(2))
    text = flow.explain()
    assert "map(str) → filter(bool) → tap(len)  [placed: processes(2), ordered]" in text
    assert "· cross together: map(str) → filter(bool) → tap(len)" in text
    assert "begins here because it runs on processes(2)\n" in text
    assert "begins here because what comes before it runs on processes(2)\n" in text
    assert "(placed: processes(2), ordered)" in flow.to_mermaid()
    assert "<b>placed: processes(2), ordered</b>" in flow._repr_html_()


@pytest.mark.parametrize(
    "function",
    [fetch, functools.partial(fetch), AsyncCallable(), AsyncCallable().method, functools.partial(AsyncCallable())],
)
def test_async_callables_of_any_kind_are_awaited(function: Any) -> None:
    assert sf.flow([1]).map(function).to(None).plan.stages[1].kind == "concurrent"


def yields(n: int) -> Any:
    yield n


class Yields:
    def __call__(self, n: int) -> Any:
        yield n


class AsyncYields:
    async def __call__(self, n: int) -> Any:
        yield n
        yield n + 1


@pytest.mark.parametrize("function", [AsyncYields(), functools.partial(AsyncYields()), AsyncYields().__call__])
def test_a_flat_map_takes_async_generators_of_any_kind(function: Any) -> None:
    assert list(sf.flow([1, 5]).flat_map(function)) == [1, 2, 5, 6]


@pytest.mark.parametrize("function", [str, len, print, functools.partial(int, base=10), "".join, lambda n: n, dict])
def test_plain_callables_of_any_kind_are_fused(function: Any) -> None:
    assert len(sf.flow([1]).map(function).to(None).plan.stages) == 1


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda f: f.map(5), "expected a callable"),
        (lambda f: f.map(fetch, concurrency=0), "from 1 on"),
        (lambda f: f.map(fetch, concurrency=True), "from 1 on"),
        (lambda f: f.map(str, concurrency=4), "make it `async def`"),
        (lambda f: f.map(str, timeout=1), "make it `async def`"),
        (lambda f: f.map(fetch, timeout=0), "seconds above 0"),
        (lambda f: f.batch(0), "from 1 on"),
        (lambda f: f.batch(2.5), "from 1 on"),
        (lambda f: f.batch(2, within=-1), "seconds above 0"),
        (lambda f: f.take(-1), "from 0 on"),
        (lambda f: f.buffer(0), "from 1 on"),
        (lambda f: f.buffer(bytes=0), "from 1 on"),
        (lambda f: f.buffer(overflow="explode"), "expected one of block"),
        (lambda f: f.throttle(0), "from 1 on"),
        (lambda f: f.scan(fetch, 0), "takes a plain function"),
        (lambda f: f.branch(fetch), "takes a plain function"),
        (lambda f: f.map(str, on_error="ignore"), "expected 'fail', 'skip'"),
        (lambda f: f.map(str, max_failures=3), "no meaning with on_error='fail'"),
        (lambda f: f.map(str, on_error="skip", max_failures=-1), "from 0 on"),
        (lambda f: f.route(str), "at least one output"),
        (lambda f: f.via(lambda flow: 5), "must return a Flow"),
        (lambda f: f.run(), "this flow has no end"),
        (lambda f: f.to(5), "cannot give items to int"),
        (lambda f: sf.flow(5), "cannot take items from int"),
        (lambda f: sf.flow(f), "this is a Flow already"),
        (lambda f: sf.merge(), "at least one flow"),
        (lambda f: sf.merge(f, [1]), "expected flows"),
        (lambda f: sf.together().plan, "nothing to run"),
        (lambda f: sf.together(f), "expected flows with an end"),
        (lambda f: sf.Retry(attempts=0), "from 1 on"),
        (lambda f: sf.Retry(backoff="cubic"), "expected one of"),
        (lambda f: sf.Retry(attempts="3"), "from 1 on"),
        (lambda f: sf.Retry(base=float("nan")), "seconds from 0 on"),
        (lambda f: sf.Retry(on="x"), "classes of exceptions"),
        (lambda f: f.map(fetch, retry=3), "expected sf.Retry"),
        (lambda f: f.map(fetch, timeout=float("nan")), "seconds above 0"),
        (lambda f: f.map(fetch, timeout="1"), "seconds above 0"),
        (lambda f: f.map(str, on_error="skip", max_failures=float("nan")), "from 0 on"),
        (lambda f: f.map(str, on_error="skip", max_failures=1.5), "from 0 on"),
        (lambda f: f.map(str, name=5).to(None).plan, "a name is a string"),
        (lambda f: f.take(10**30), "more than this machine can count"),
        (lambda f: f.route(str, [1]), "told apart by hash"),
        (lambda f: f.via(5), "expected a callable"),
        (lambda f: sf.inbox(0), "from 1 on"),
        (lambda f: sf.inbox(2.5), "from 1 on"),
        (lambda f: sf.ticks("1"), "seconds above 0"),
        (lambda f: sf.ticks(1, count=2.5), "from 0 on"),
        (lambda f: f.to(yields), "runs none of its body"),
        (lambda f: f.to(Yields()), "runs none of its body"),
        (lambda f: f.to(AsyncYields()), "gives many results"),
        (lambda f: f.map(AsyncYields()), "use flat_map"),
        (lambda f: f.to(None).start(), "no event loop is running here"),
        (lambda f: f.to(None).run_sync(on_event=fetch), "takes a plain function"),
        (lambda f: f.to(None).run_sync(max_stall=float("nan")), "seconds above 0"),
        (lambda f: f.to(None).run_sync(stall_after="1"), "seconds above 0"),
        (lambda f: f.to(None).run_sync(resume={}), "what run.checkpoint() returned"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_written(build: Any, says: str) -> None:
    with pytest.raises(sf.FlowError) as caught:
        build(sf.flow([1]))
    assert says in str(caught.value)


def test_the_same_end_twice_is_refused() -> None:
    end = sf.flow([1]).to([])
    with pytest.raises(sf.FlowError, match="given twice"):
        _ = sf.together(end, end).plan


def diamond(shape: str) -> sf.Flow[Any]:
    source = sf.flow(range(100_000))
    if shape == "even":
        return sf.zip(source.map(str), source.map(fetch, concurrency=3))
    if shape == "itself":
        return sf.zip(source, source)
    if shape == "filter before":
        kept = source.filter(bool)
        return sf.zip(kept.map(str), kept.map(repr))
    if shape == "merge":
        return sf.merge(source.filter(bool), source)
    if shape == "filter":
        return sf.zip(source.filter(bool), source)
    if shape == "skip":
        return sf.zip(source.map(fetch, on_error="skip"), source)
    if shape == "batch":
        return sf.zip(source.batch(2), source)
    if shape == "branch":
        return sf.zip(*source.branch(bool))
    return sf.concat(source.map(str), source)


@pytest.mark.parametrize("shape", ["filter", "skip", "batch", "branch", "concat"])
def test_a_diamond_that_could_wait_for_itself_is_refused(shape: str) -> None:
    with pytest.raises(sf.FlowError, match="two of its inputs come from"):
        _ = diamond(shape).to(None).plan


@pytest.mark.parametrize("shape", ["even", "itself", "filter before", "merge"])
def test_a_diamond_that_cannot_is_not(shape: str) -> None:
    assert diamond(shape).to(None).plan.stages


@pytest.mark.parametrize(
    ("flow", "repeatable"),
    [
        (sf.flow([1]).map(fetch, concurrency=9).batch(3), True),
        (sf.flow([1]).map(fetch, concurrency=9, ordered=False), False),
        (sf.merge(sf.flow([1]), sf.flow([2])), False),
        (sf.flow([1]).batch(3, within=1), False),
        (sf.flow([1]).buffer(3, overflow="latest"), False),
    ],
)
def test_the_plan_says_whether_the_output_is_repeatable(flow: sf.Flow[Any], repeatable: bool) -> None:
    assert flow.to(None).plan.repeatable == repeatable
    assert ("repeatable: the output is" in flow.explain()) == repeatable


def test_the_picture_of_a_plan_says_what_is_promised() -> None:
    picture = sf.flow([1]).to(print)._repr_html_()
    assert "repeatable: the output is a function of the input alone<br/>with checkpoint=: at least once" in picture


def test_pictures_of_a_plan_escape_what_users_wrote() -> None:
    runnable = sf.flow([1]).map(str, name='<b>"x"|</b>').buffer().map(fetch, on_error=sf.dead_letter([])).to(None)
    for picture in (runnable.to_mermaid(), runnable._repr_html_()):
        assert '<b>"x' not in picture
        assert "&lt;b&gt;" in picture
    assert runnable.to_mermaid().startswith("flowchart LR\n")
    assert "dead letters" in runnable.to_mermaid()


def test_a_flow_of_thousands_of_operators_is_planned() -> None:
    flow: sf.Flow[int] = sf.flow([1])
    for _ in range(3000):
        flow = flow.map(abs)
    plan = flow.to(None).plan
    assert all(len(stage.fused) <= 40 for stage in plan.stages)
    assert len(plan.stages) == 76  # the last one is the sink's
