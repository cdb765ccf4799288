"""The folders inside a run folder are its own: nothing in their place leads readers or writers elsewhere."""

import stat
from pathlib import Path

from misalign_eval.errors import InputError, Problem
from misalign_eval.results import layout

LINK = "a link, and what a run holds lies inside its folder alone"
FILE = "no folder, where a folder of the run belongs"


def strange_folders(path: Path) -> tuple[Problem, ...]:
    """What is a link, or no folder, where a folder of this run belongs. Costs an lstat each.

    The run folder itself, and the folders above it, may be links: people keep results on another disk.
    """
    return tuple(found for name in layout.INNER if (found := _strange(path / name)) is not None)


def check_folders(path: Path) -> None:
    """Raise InputError with everything in a run folder that would lead out of it."""
    if problems := strange_folders(path):
        raise InputError(problems)


def _strange(folder: Path) -> Problem | None:
    try:
        mode = folder.lstat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        return None
    if stat.S_ISLNK(mode):
        return Problem(str(folder), None, "", LINK, "Put the folder itself there, or remove the link")
    return Problem(str(folder), None, "", FILE, "Move it away")
