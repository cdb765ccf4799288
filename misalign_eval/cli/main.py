"""The command line: one command a file. Prints errors and picks exit codes; nothing below this folder does either."""

import os
import signal
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Annotated

import typer

from misalign_eval import __version__
from misalign_eval.errors import MisalignEvalError

app = typer.Typer(
    name="misalign-eval",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Did this fine-tune make my model broadly misaligned? Probe, grade and compare models.",
    epilog=(
        "Exit codes: 0 done or passed, 1 gate failed, 2 usage or input error, 3 gate inconclusive, "
        "4 run incomplete, 70 internal error, 130 interrupted, 143 terminated."
    ),
)

COMMANDS = (
    "demo",
    "run",
    "report",
    "compare",
    "show",
    "regrade",
    "label",
    "calibrate",
    "gate",
    "import",
    "merge",
    "export",
    "figure",
    "doctor",
    "power",
)
GROUPS = ("suites", "graders", "definitions", "providers", "lab")

for _name in COMMANDS:
    _python = f"{_name}_" if iskeyword(_name) else _name  # `import` lies in import_.py
    app.command(_name)(getattr(import_module(f"misalign_eval.cli.{_python}"), _python))
for _name in GROUPS:
    app.add_typer(import_module(f"misalign_eval.cli.{_name}").app, name=_name)


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"misalign-eval {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Read the options that stand before the command."""


def main() -> None:
    """Run a command. What the user can mend ends in one clear line, never in a traceback."""
    # Before numpy is loaded: more threads only slow down matrices as small as the embedded model's.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        app()
    except MisalignEvalError as error:
        _leave(f"misalign-eval: {error}", error.exit_code)
    except KeyboardInterrupt:
        _leave("misalign-eval: interrupted", 128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has left; that is no error
    except Exception:  # noqa: BLE001  whatever it is, it must not look like a verdict
        import traceback

        from misalign_eval.providers.keys import blot

        told = "misalign-eval: internal error. Please report it with the lines above (they hold no key)"
        _leave(f"{blot(traceback.format_exc())}{told}", 70)


def _leave(message: str, code: int) -> None:
    from misalign_eval.cli.paging import fitted
    from misalign_eval.reports.escape import plain

    sys.stderr.write("".join(f"{fitted(plain(line), sys.stderr)}\n" for line in message.splitlines()))
    raise SystemExit(code)
