"""Where the suites and graders that ship with the package are."""

from pathlib import Path

from misalign_eval.errors import UsageError

_PACKAGE = Path(__file__).parent


def suites_dir() -> Path:
    """The folder of the bundled suites. Raises UsageError when the installation lacks it."""
    return _folder("suites")


def graders_dir() -> Path:
    """The folder of the bundled graders. Raises UsageError when the installation lacks it."""
    return _folder("graders")


def _folder(name: str) -> Path:
    """Inside an installed wheel `_bundled/`; of an editable install the checkout around the package."""
    inside, checkout = _PACKAGE / "_bundled" / name, _PACKAGE.parent
    if inside.is_dir():
        return inside
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    raise UsageError(f"this installation has no `{name}` folder at {inside}. Install misalign-eval again.")
