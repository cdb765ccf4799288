"""What was typed wrongly is repeated in plain characters, whoever wrote the line that was pasted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperGroup

_MISTYPED: type[Exception] = typer.BadParameter.__mro__[2]  # ClickException, which typer keeps to itself


class PlainGroup(TyperGroup):
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
