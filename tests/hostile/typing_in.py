"""The command line in this process, as a user would type it: a second faster for each command than a process."""

import io
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from misalign_eval.cli.main import main

NOTHING: Mapping[str, str] = {}
UNSET = ("_API_KEY", "_BASE_URL", "proxy", "PROXY")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


class _Screen(io.TextIOWrapper):
    """What takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


def command(
    folder: Path, *arguments: str, keys: str = "", env: Mapping[str, str] = NOTHING, on_screen: bool = False
) -> Ended:
    """Run one command in a folder, with `keys` typed and these variables set; messages go to a terminal if asked."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", newline="")
    err = (_Screen if on_screen else io.TextIOWrapper)(io.BytesIO(), "utf-8", newline="")
    with (
        _standing(folder, env),
        _instead(argv=["misalign-eval", *arguments], stdin=io.StringIO(keys), stdout=out, stderr=err),
    ):
        try:
            main()
            code = 0
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return Ended(code, *(_written(stream) for stream in (out, err)))


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextmanager
def _standing(folder: Path, more: Mapping[str, str]) -> Iterator[None]:
    before, environment = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    for name in list(os.environ):
        if name.endswith(UNSET):
            del os.environ[name]
    os.environ |= {"COLUMNS": "80", "NO_COLOR": "1", **more}
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(environment)


@contextmanager
def _instead(**names: object) -> Iterator[None]:
    before = {name: getattr(sys, name) for name in names}
    for name, value in names.items():
        setattr(sys, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(sys, name, value)
