"""The verbs around flows: a beginning, dead letters, checkpoints, the machine, the shell."""

from __future__ import annotations

import json
import sys

import click

from streamflow.cli.verb import Verb, as_json, env


@click.command(cls=Verb)
@click.argument("folder")
@as_json("what was written")
def new(folder: str, as_json: bool) -> None:
    """Make FOLDER, with a flow, data and tests to begin from.

    \b
    Example: streamflow new orders
    """
    from streamflow.cli.creating import create

    create(folder, as_json=as_json)


@click.command(cls=Verb)
@as_json("it")
def doctor(as_json: bool) -> None:
    """Say what is here (versions, loop, cores, memory, GPU), what is missing, and how to get it.

    \b
    Example: streamflow doctor
    """
    from streamflow.cli.doctor import examine

    examine(as_json=as_json)


@click.command(cls=Verb)
@click.argument("shell", required=False)
@as_json("it")
@click.pass_context
def completion(ctx: click.Context, shell: str | None, as_json: bool) -> None:
    """Print what SHELL (bash, zsh or fish; by default yours) must read to complete verbs and options.

    \b
    Example: streamflow completion bash >> ~/.bashrc
    """
    from streamflow.cli.completion import completion_script

    script = completion_script(ctx.find_root().command, shell)
    click.echo(json.dumps({"script": script}) if as_json else script)


@click.group()
def dlq() -> None:
    """Look at dead letters, and send them through the flow again.

    \b
    Example: streamflow dlq ls bad.jsonl
    """


@dlq.command(cls=Verb)
@click.argument("file")
@as_json("the groups")
def ls(file: str, as_json: bool) -> None:
    """Say what has failed where, how often, and which was the first.

    \b
    Example: streamflow dlq ls bad.jsonl
    """
    from streamflow.cli.dead_letters import list_letters

    list_letters(file, as_json=as_json)


@dlq.command("show", cls=Verb)
@click.argument("file")
@click.argument("number", type=click.IntRange(1), default=1)
@as_json("it")
def show_one(file: str, number: int, as_json: bool) -> None:
    """Show dead letter NUMBER of a file (by default the first), with its traceback.

    \b
    Example: streamflow dlq show bad.jsonl 3
    """
    from streamflow.cli.dead_letters import show_letter

    show_letter(file, number, as_json=as_json)


@dlq.command(cls=Verb)
@click.argument("file")
@click.argument("flow")
@click.option("--to", multiple=True, metavar="SINK", help="Where what comes out goes; by default stdout. LABEL=SINK")
@click.option("--failed", metavar="FILE", help="Where what fails again goes; by default FILE.failed.jsonl.")
@click.option("--plain", is_flag=True, help="Send items of which only the JSON form was kept, too.")
@env
@as_json("the report")
def replay(
    file: str, flow: str, to: tuple[str, ...], failed: str | None, plain: bool, env: tuple[str, ...], as_json: bool
) -> None:
    """Send the dead letters in FILE through FLOW again, each from the operator that failed; FILE is left as it is.

    Items may be mended in FILE before. What is already in the flow's own sink is not touched: the output goes --to.

    \b
    Example: streamflow dlq replay bad.jsonl flow.py --to mended.jsonl
    """
    from streamflow.cli.replaying import replay as send

    sys.exit(send(file, flow, to=to, failed=failed, plain=plain, allowed=env, as_json=as_json))


@click.group()
def checkpoints() -> None:
    """Look at what a run could go on from: the file of run(checkpoint=...).

    \b
    Example: streamflow checkpoints ls events.ckpt
    """


@checkpoints.command("ls", cls=Verb)
@click.argument("file")
@as_json("them")
def list_them(file: str, as_json: bool) -> None:
    """List the checkpoints in FILE, the newest first: when, how many items, how large, whether damaged.

    \b
    Example: streamflow checkpoints ls events.ckpt
    """
    from streamflow.cli.checkpoints import list_checkpoints

    list_checkpoints(file, as_json=as_json)


@checkpoints.command(cls=Verb)
@click.argument("file")
@as_json("what was found")
def verify(file: str, as_json: bool) -> None:
    """Look at every byte of FILE; exit code 65 if anything in it is damaged.

    \b
    Example: streamflow checkpoints verify events.ckpt
    """
    from streamflow.cli.checkpoints import verify as look

    sys.exit(look(file, as_json=as_json))


@checkpoints.command(cls=Verb)
@click.argument("file")
@click.option("--keep", default=1, show_default=True, type=click.IntRange(1), help="How many stay.")
@as_json("what was removed")
def prune(file: str, keep: int, as_json: bool) -> None:
    """Remove all but the last checkpoints of FILE, and give their space back.

    \b
    Example: streamflow checkpoints prune events.ckpt --keep 1
    """
    from streamflow.cli.checkpoints import prune as remove

    remove(file, keep, as_json=as_json)


TOOL_VERBS = (new, doctor, completion, dlq, checkpoints)
