"""Every command. The only package that prints, reads the keyboard or sets exit codes.

Results go to stdout, everything else to stderr. lint and diff end with exit code 1 where they
find something; wrong input with 2 and one message; a model that the guard refuses with 3; Ctrl-C with 130.
"""

from __future__ import annotations

import io
import sys

import typer

from glossrank.cli import evaluating, glossaries, ranking, serving, training, verdicts
from glossrank.cli.output import INTERRUPTED, REFUSED, USAGE_ERROR, escape, stderr
from glossrank.errors import GlossrankError, ModelRefusedError, TrainingInterruptedError

app = typer.Typer(
    name="glossrank",
    help="Ask in plain words, get the right definitions. Offline, on a CPU.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
pairs_app = typer.Typer(help="Look at files of labelled pairs.", no_args_is_help=True)
app.add_typer(pairs_app, name="pairs")

app.command("ask")(ranking.ask_command)
app.command("index")(glossaries.index_command)
app.command("ask-many")(glossaries.ask_many_command)
app.command("lint")(glossaries.lint_command)
app.command("diff")(glossaries.diff_command)
app.command("rank")(ranking.rank)
app.command("predict")(ranking.predict)
app.command("train")(training.train_command)
app.command("evaluate")(evaluating.evaluate_command)
app.command("calibrate")(evaluating.calibrate_command)
app.command("retrain")(verdicts.retrain_command)
app.command("serve")(serving.serve_command)
app.command("models")(ranking.models)
pairs_app.command("describe")(training.describe)
pairs_app.command("from-verdicts")(verdicts.from_verdicts_command)


def main() -> None:
    """The entry point: runs a command and turns glossrank's errors into exit codes."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its code, not a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except GlossrankError as error:
        stderr().print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        codes = {TrainingInterruptedError: INTERRUPTED, ModelRefusedError: REFUSED}
        sys.exit(codes.get(type(error), USAGE_ERROR))
    except OSError as error:
        # What no part of glossrank foresaw: a name too long, a full /dev/stdout.
        stderr().print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
        sys.exit(USAGE_ERROR)
