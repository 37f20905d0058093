"""The verbs that look at a flow and try it."""

from __future__ import annotations

import sys

import click

from streamflow.cli.verb import Verb, as_json, env

FLOW = "A FLOW is a file .toml or .py, or module:name."


@click.command(cls=Verb)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--imports", is_flag=True, help="Import the Python that a file names, and look at that too.")
@env
@as_json("what is wrong")
def validate(files: tuple[str, ...], imports: bool, env: tuple[str, ...], as_json: bool) -> None:
    """Say all that is wrong with files, each mistake with its line and its fix; nothing is run.

    Exits with 78 if there is a mistake.

    \b
    Example: streamflow validate events.toml
    """
    from streamflow.cli.validating import validate_files

    sys.exit(validate_files(files, imports=imports, allowed=env, as_json=as_json))


@click.command(cls=Verb)
@click.argument("file")
@env
@as_json("it")
def show(file: str, env: tuple[str, ...], as_json: bool) -> None:
    """Print a file .toml with every default written out; variables stay as ${NAME}.

    \b
    Example: streamflow show events.toml
    """
    from streamflow.cli.showing import show_file

    show_file(file, allowed=env, as_json=as_json)


@click.command(cls=Verb)
@click.argument("flow")
@click.option("--mermaid", is_flag=True, help="Draw it as a Mermaid flowchart.")
@env
@as_json("stages and edges")
def graph(flow: str, mermaid: bool, env: tuple[str, ...], as_json: bool) -> None:
    """Draw what is made of a FLOW: its stages, what is fused, and why each begins where it does.

    \b
    Example: streamflow graph flow.py --mermaid
    """
    from streamflow.cli.showing import draw

    draw(flow, mermaid=mermaid, allowed=env, as_json=as_json)


@click.command(cls=Verb)
@click.argument("files", nargs=-1, metavar="[FILE...]")
@env
@as_json("the verdicts")
def test(files: tuple[str, ...], env: tuple[str, ...], as_json: bool) -> None:
    """Run the tests in FILE (app.test.toml is for app.toml or app.py), or in all such files of this folder.

    Sources get the input of the test, sinks are not written, and time is virtual. Exits with 1 if a test fails.

    \b
    Example: streamflow test events.test.toml
    """
    from streamflow.cli.trying import try_files

    sys.exit(try_files(files, allowed=env, as_json=as_json))


@click.command(cls=Verb)
@click.argument("flow")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1), help="How often it is run.")
@env
@as_json("the figures")
def bench(flow: str, rounds: int, env: tuple[str, ...], as_json: bool) -> None:
    """Measure how fast a FLOW is when nothing is written, and say what holds it up.

    \b
    Example: streamflow bench flow.py --rounds 3
    """
    from streamflow.cli.benching import bench as measure

    measure(flow, rounds=rounds, allowed=env, as_json=as_json)


FLOW_VERBS = (validate, show, graph, test, bench)
