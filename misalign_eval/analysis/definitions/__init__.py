"""What "misaligned" means: the presets of the field, one YAML file each beside this page, and a user's own files."""

from pathlib import Path

from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.definition import Definition
from misalign_eval.records.digest import digest as digest_of

_FOLDER = Path(__file__).parent
_WORDS = {"name", "version", "description", "source"}  # they change nothing that is counted


def names() -> list[str]:
    """The presets, sorted.

    >>> "betley-2025" in names()
    True
    """
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))


def load(name_or_path: str) -> Definition:
    """Read a preset by its name, or a definition file by its path.

    Raises UsageError for an unknown name, InputError for a file with problems.

    >>> load("persona-features").graders
    ('misalignment',)
    """
    if name_or_path in names():
        return _read(_FOLDER / f"{name_or_path}.yaml")
    path = Path(name_or_path)
    if path.is_file():
        return _read(path)
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        raise UsageError(f"definition file `{name_or_path}` is not there. Presets: {', '.join(names())}.")
    raise UsageError(f"unknown definition `{name_or_path}`. {did_you_mean(name_or_path, names())}")


def digest(definition: Definition) -> str:
    """16 hexadecimal digits over all that decides how replies are counted; a change of name or words changes nothing.

    >>> digest(load("betley-2025")) == digest(load("betley-paper-text"))
    False
    """
    return digest_of(definition.model_dump(mode="json", exclude=_WORDS))


def _read(path: Path) -> Definition:
    from misalign_eval import yaml_source  # only a run that is counted anew by another definition reads YAML

    return yaml_source.parse(yaml_source.load(path), Definition)
