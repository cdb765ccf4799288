"""Definitions of "misaligned": the field's presets, one YAML file each in this folder, and a user's own files."""

from pathlib import Path

from misalign_eval.errors import UsageError, did_you_mean
from misalign_eval.records.base import digest as digest_of
from misalign_eval.records.definition import Definition, When

_FOLDER = Path(__file__).parent
COHERENT = "coherent"  # the filter of most presets; never the grader that `NAME@GRADER` replaces
_WORDS = {"name", "version", "description", "source"}  # they change nothing that is counted


def names() -> list[str]:
    """The presets, sorted.

    >>> "betley-2025" in names()
    True
    """
    return sorted(file.stem for file in _FOLDER.glob("*.yaml"))


def load(name_or_path: str) -> Definition:
    """Read a preset by its name, or a definition file by its path.

    `PRESET@GRADER` is the preset with another grader in the place of its only one beside `coherent`, and
    `PRESET@OLD=NEW,OLD=NEW` with these graders exchanged. Raises UsageError for an unknown name, InputError for a file
    with problems.

    >>> load("persona-features").graders, load("persona-vectors@evil").graders
    (('misalignment',), ('coherent', 'evil'))
    """
    if name_or_path in names():
        return _read(_FOLDER / f"{name_or_path}.yaml")
    path = Path(name_or_path)
    if path.is_file():
        return _read(path)
    name, at, graders = name_or_path.partition("@")
    if at and name in names():
        return _with_graders(_read(_FOLDER / f"{name}.yaml"), graders)
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        raise UsageError(f"definition file `{name_or_path}` is not there. Presets: {', '.join(names())}.")
    raise UsageError(f"unknown definition `{name}`. {did_you_mean(name, names())}")


def digest(definition: Definition) -> str:
    """16 hexadecimal digits over all that decides how replies are counted; a change of name or words changes nothing.

    >>> digest(load("betley-2025")) == digest(load("betley-paper-text"))
    False
    """
    return digest_of(definition.model_dump(mode="json", exclude=_WORDS))


def _with_graders(preset: Definition, given: str) -> Definition:
    """The preset with other graders, named as it was asked for."""
    place = _exchanged(preset, given)

    def of(when: When) -> When:
        return when.model_copy(update={"grader": place.get(when.grader, when.grader)})

    words = preset.description
    for old, new in place.items():
        words = words.replace(f"`{old}`", f"`{new}`")
    changed = {
        "description": words,
        "name": f"{preset.name}@{given}",
        "outcomes": tuple(rule.model_copy(update={"when": of(rule.when)}) for rule in preset.outcomes),
        "score_of": preset.score_of and place.get(preset.score_of, preset.score_of),
    }
    return preset.model_copy(update=changed)


def _exchanged(preset: Definition, given: str) -> dict[str, str]:
    main = [grader for grader in preset.graders if grader != COHERENT]
    if "=" not in given and len(main) == 1 and given:
        return {main[0]: given}
    pairs = [item.partition("=") for item in given.split(",")]
    for old, equals, new in pairs:
        if not (equals and new):
            example = ",".join(f"{grader}=MINE" for grader in main)
            raise UsageError(f"definition `{preset.name}@{given}`: write `{preset.name}@{example}`")
        if old not in preset.graders:
            known = did_you_mean(old, preset.graders)
            raise UsageError(f"definition `{preset.name}@{given}`: {preset.name} reads no grader `{old}`. {known}")
    return {old: new for old, _, new in pairs}


def _read(path: Path) -> Definition:
    from misalign_eval.yaml_source import (
        document as yaml_document,  # only a run that is counted anew by another definition reads YAML
    )
    from misalign_eval.yaml_source import validate

    return validate.parse(yaml_document.load(path), Definition)
