"""Folders that their owner alone can read: replies may be harmful and prompts confidential."""

from pathlib import Path


def make_folder(path: Path, *, exist_ok: bool = True) -> None:
    """Make the folder and those above it that are missing, all private. `Path.mkdir` would leave the upper ones open.

    What is there keeps its rights. Raises OSError.
    """
    for folder in [folder for folder in reversed(path.parents) if not folder.exists()]:
        _make(folder, exist_ok=True)
    _make(path, exist_ok=exist_ok)


def _make(folder: Path, *, exist_ok: bool) -> None:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if not exist_ok or not folder.is_dir():
            raise
        return
    mode = folder.stat().st_mode & 0o7777
    if mode & 0o700 != 0o700:  # a umask that keeps even the owner out
        folder.chmod(mode | 0o700)
