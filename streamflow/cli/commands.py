"""The verbs. Each is imported only when it is called: `--help` must not wait for what it does not need."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from streamflow import __version__
from streamflow.cli.collision import refuse_collision
from streamflow.cli.flow_commands import FLOW_VERBS
from streamflow.cli.tool_commands import TOOL_VERBS
from streamflow.cli.verb import Verbs


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="streamflow")
def cli() -> None:
    """Stream items through Python functions, with backpressure, order and no lost item.

    \b
    Example: streamflow run --from in.jsonl --map steps:normalise --to out.jsonl
    """
    refuse_collision()


@cli.command()
@click.option("--lines", default=1_000_000, show_default=True, type=click.IntRange(1), help="Lines of the access log.")
@click.option(
    "--dir",
    "folder",
    default="streamflow-demo",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where its files go.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the generated lines.")
@click.option("--resume", default="auto", type=click.Choice(["auto", "never"]), help="never: begin anew.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
def demo(lines: int, folder: Path, seed: int, resume: str, as_json: bool) -> None:
    """Write an access log with malformed lines among them, and stream it through a flow.

    Press Ctrl-C halfway, or kill it, and give the same command again: it goes on from there, and compares in the end
    what is there with what an unbroken run would have written.

    \b
    Example: streamflow demo --lines 100000 --dir /tmp/demo
    """
    from streamflow.cli.demo import run_demo

    sys.exit(run_demo(lines, folder, seed, resume, as_json))


RESUME = ("auto", "never", "require")
STEPS = ("map", "filter", "flat-map")


def _typed_steps(arguments: list[str]) -> list[tuple[str, str]]:
    """Return the steps of a command line in the order in which they were typed."""
    steps: list[tuple[str, str]] = []
    for at, argument in enumerate(arguments):
        word, _, value = argument.partition("=")
        if word.removeprefix("--") in STEPS and word.startswith("--"):
            steps.append((word[2:], value or (arguments[at + 1] if at + 1 < len(arguments) else "")))
    return steps


class StepsCommand(click.Command):
    """Be a command whose steps keep the order in which they were typed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember the steps, then parse as usual."""
        ctx.meta["streamflow.steps"] = _typed_steps(args)
        return super().parse_args(ctx, args)


@cli.command(cls=StepsCommand)
@click.argument("flow", required=False)
@click.option(
    "--from",
    "source",
    help="A path or a pattern (formats: streamflow list; also .gz, .xz, .zst), or - for JSON Lines on stdin.",
)
@click.option("--follow", is_flag=True, help="Read the file of --from (or FLOW) on as it grows, until Ctrl-C.")
@click.option("--to", "sink", help="A path, or - for stdout (the default).")
@click.option("--map", "map_", multiple=True, metavar="MODULE:FUNCTION", help="Replace each item. Repeatable.")
@click.option("--filter", "filter_", multiple=True, metavar="MODULE:FUNCTION", help="Keep some items. Repeatable.")
@click.option("--flat-map", multiple=True, metavar="MODULE:FUNCTION", help="Make several items of one. Repeatable.")
@click.option("--concurrency", default=10, show_default=True, type=click.IntRange(1), help="For async functions.")
@click.option("--on-error", default="fail", show_default=True, help="fail, skip, or a file for dead letters.")
@click.option("--root", multiple=True, metavar="DIR", help="Read and write files inside of it only. Repeatable.")
@click.option("--env", multiple=True, metavar="NAME", help="Let a FLOW file use this variable. Repeatable.")
@click.option("--checkpoint", metavar="FILE", help="Keep what is reached in FILE; the same command goes on from there.")
@click.option("--every", metavar="TIME", help="How far checkpoints are apart (1s, 500ms).  [default: 1s]")
@click.option("--resume", type=click.Choice(RESUME), help="Whether to go on from the last one.  [default: auto]")
@click.option("--memory", metavar="SIZE", help="Hold the sources while memory is near this limit (512MB, 2GiB).")
@click.option("--tune-allocator", is_flag=True, help="Keep freed memory (glibc): faster for large items.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object, on stdout.")
@click.option("--report", metavar="FILE", help="Keep the report, also of a run that failed (.html, .json, .txt).")
@click.option("--traceback", "show_traceback", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def run(ctx: click.Context, /, flow: str | None, **options: Any) -> None:
    """Run FLOW (a file .toml or .py, or module:name of a flow or of a function that returns one), or one described
    by options.

    Ctrl-C drains: what was read is finished. With --checkpoint it suspends: the same command goes on from there, and
    so it does after a crash. A second one cancels, a third one ends.

    \b
    Examples: streamflow run events.toml
              streamflow run app:flow
              streamflow run --from in.jsonl --filter steps:is_valid --map steps:enrich --to out.jsonl
              streamflow run app.log --follow
              streamflow run --from in.jsonl --map steps:enrich --to out.jsonl --checkpoint in.ckpt
    """
    from streamflow.cli.run import run_flow

    belonging = ("map_", "filter_", "flat_map", "concurrency", "on_error")
    typed = [name for name in belonging if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    options["steps_given"] = ", ".join(f"--{name.strip('_').replace('_', '-')}" for name in typed)
    sys.exit(run_flow(flow, ctx.meta["streamflow.steps"], options))


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
@click.option("--markdown", is_flag=True, help="Print sources and sinks as a table in Markdown.")
def list_parts(as_json: bool, markdown: bool) -> None:
    """List what a flow can begin with, do and end in, with the options of each.

    \b
    Example: streamflow list --json
    """
    import json

    from streamflow.cli.listing import ends_as_markdown, listing, show

    if markdown:
        click.echo(ends_as_markdown())
        return
    if as_json:
        click.echo(json.dumps(listing()))
        return
    show()


for verb in (*FLOW_VERBS, *TOOL_VERBS):
    cli.add_command(verb)
