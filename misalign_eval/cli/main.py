"""The command line: its commands, loaded when they are used, and exit codes."""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from misalign_eval import __version__
from misalign_eval.cli import terminal
from misalign_eval.errors import MisalignEvalError

# Errors of usage repeat what was typed in plain characters, since a pasted line may be hostile.


_MISTYPED: type[Exception] = typer.BadParameter.__mro__[2]  # ClickException, which typer keeps to itself


class SafeErrorGroup(TyperGroup):
    """A group of commands whose complaints about flags and names act on no terminal."""

    def make_context(self, *args: Any, **more: Any) -> Any:  # noqa: ANN401  as the base class has them
        """Read the flags before the command."""
        with _plain_words():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401  as the base class has it
        """Read the flags of the command, and carry it out."""
        with _plain_words():
            return super().invoke(ctx)


@contextmanager
def _plain_words() -> Iterator[None]:
    try:
        yield
    except _MISTYPED as error:
        from misalign_eval.reports.escape import plain

        for name in ("message", "option_name"):
            if isinstance(said := getattr(error, name, None), str):
                setattr(error, name, plain(said))
        raise


# The application: one command a file. Only this package prints errors and picks exit codes.


app = typer.Typer(
    name="misalign-eval",
    cls=SafeErrorGroup,
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Did this fine-tune make my model broadly misaligned? Probe, grade and compare models.",
    epilog=(
        "Exit codes: 0 done or passed, 1 gate failed, 2 usage or input error, 3 gate inconclusive, "
        "4 run incomplete or output lost, 70 internal error, 129 hung up, 130 interrupted, 143 terminated."
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
LONGEST_SHOWN = 100  # letters of a name that no file system takes
_OF_NAMES = {
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
    errno.EILSEQ,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
}
UNSUPPORTED = "runs on Linux and macOS; on Windows use it inside the Windows Subsystem for Linux (WSL)"
INTERRUPTED = "misalign-eval: interrupted"
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
    """Run a command and leave with its exit code."""
    # Before numpy is loaded: more threads only slow down matrices as small as the embedded model's.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    terminal.drop_zero_terminal_size()
    with terminal.tolerant_streams():
        if not _is_supported():
            _leave(f"misalign-eval: {UNSUPPORTED}", 2)
        _carry_out()


def _is_supported() -> bool:
    """Whether this system can lock a run folder and end a run by signals, on which a run's safety stands."""
    try:
        import fcntl  # noqa: F401
    except ImportError:
        return False
    return hasattr(signal, "SIGHUP")


def _carry_out() -> None:
    """What the user can mend ends in one clear line, never in a traceback."""
    try:
        app()
    except MisalignEvalError as error:
        _leave(f"misalign-eval: {error}", error.exit_code)
    except KeyboardInterrupt:
        _leave(INTERRUPTED, 128 + signal.SIGINT)
    except SystemExit as end:
        if isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt):  # typer keeps it to itself
            _leave(INTERRUPTED, 128 + signal.SIGINT)
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, it must not look like a verdict
        if isinstance(error, OSError) and _is_folder_gone():
            _leave("misalign-eval: the folder that you stand in has been deleted. Change to another one", 2)
        if (why := _unusable_name(error)) is not None:
            _leave(f"misalign-eval: {why}", 2)
        import traceback

        from misalign_eval.providers.keys import redact

        told = "misalign-eval: internal error. Please report it with the lines above (they hold no key)"
        _leave(f"{redact(traceback.format_exc())}{told}", 70)


def _unusable_name(error: Exception) -> str | None:
    """Why the file system takes no file of this name, or does not let us look; None where the error is another one.

    Every command is given names of files, and any of them can be too long, hold a NUL, or lie where nobody may look.
    """
    if isinstance(error, ValueError) and "embedded null" in str(error):
        return "a name of a file holds a NUL character, which no file system takes. Correct the name"
    if isinstance(error, RuntimeError) and "Symlink loop" in str(error):  # so pathlib says it before Python 3.13
        return f"{error}. Give the name of another file or folder"
    if not isinstance(error, OSError) or error.filename is None or error.errno not in _OF_NAMES:
        return None
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes | os.PathLike) else str(error.filename)
    shown = name if len(name) <= LONGEST_SHOWN else f"{name[:LONGEST_SHOWN]}…"
    if "\n" in name:
        return f"`{shown.splitlines()[0]}…`: this is the content of a file. Give the name of the file instead"
    return f"{shown}: {error.strerror}. Give the name of another file or folder"


def _is_folder_gone() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def _leave(message: str, code: int) -> None:
    from misalign_eval.cli.output import fitted
    from misalign_eval.reports.escape import plain

    sys.stderr.write("".join(f"{fitted(plain(line), sys.stderr)}\n" for line in message.splitlines()))
    raise SystemExit(code)
