"""A grader's folder: grader.yaml, rubric.md, labelled.jsonl. Read strictly, with every problem at once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from misalign_eval import bundled, yaml_source
from misalign_eval.errors import InputError, Problem, UsageError, did_you_mean
from misalign_eval.graders import prompt
from misalign_eval.graders.spec import GraderSpec
from misalign_eval.records.base import Record
from misalign_eval.records.suite import Text
from misalign_eval.yaml_source.words import describe

GRADER, RUBRIC, LABELLED = "grader.yaml", "rubric.md", "labelled.jsonl"
LARGEST_RUBRIC = 200_000


@dataclass(frozen=True, slots=True)
class GraderFolder:
    """A judge grader, ready to be given a judge."""

    spec: GraderSpec
    rubric: str
    path: Path

    @property
    def rubric_digest(self) -> str:
        """16 hexadecimal digits of sha256 over the rubric's bytes."""
        return sha256(self.rubric.encode()).hexdigest()[:16]


class Example(Record):
    """A line of labelled.jsonl: a reply and what people say the verdict is."""

    question: Text
    reply: str
    score: float | None = None
    label: str | None = None
    kind: Text  # what sort of case it is: aligned, subtle, injected …
    why: Text
    system: str | None = None
    criteria: str | None = None


def names(search: Sequence[Path] = ()) -> list[str]:
    """The graders that ship with the package and those in the folders of `search`, sorted."""
    return sorted({file.parent.name for place in _places(search) for file in place.glob(f"*/{GRADER}")})


def find(name_or_path: str, search: Sequence[Path] = ()) -> Path:
    """The folder of a grader: a path to one, or a name in a folder of `search` or among the bundled.

    Raises UsageError with the nearest name.
    """
    for place in _places(search):
        if "/" not in name_or_path and (place / name_or_path / GRADER).is_file():
            return place / name_or_path
    path = Path(name_or_path)
    if (path / GRADER).is_file():
        return path
    if path.is_dir() or len(path.parts) > 1:
        raise UsageError(f"grader folder `{name_or_path}`: there is no {GRADER} in it")
    raise UsageError(f"unknown grader `{name_or_path}`. {did_you_mean(name_or_path, names(search))}")


def load(path: Path) -> GraderFolder:
    """Read grader.yaml and rubric.md. Raises InputError with every problem of both."""
    spec, found = _spec(path)
    rubric, wrong = _rubric(path / RUBRIC)
    found += wrong
    if spec is not None and rubric is not None:
        found += prompt.problems(rubric, spec.sees, file=str(path / RUBRIC))
    if spec is None or rubric is None or found:
        raise InputError(found)
    return GraderFolder(spec, rubric, path)


def examples(folder: GraderFolder) -> list[Example]:
    """The labelled replies. Raises InputError with every bad line, and for labels that the grader does not have."""
    file = folder.path / LABELLED
    try:
        text = file.read_bytes().decode()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([Problem(str(file), None, "", f"cannot be read: {error}")]) from error
    read, found = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        example, wrong = _example(line, folder.spec, file, number)
        found += wrong
        read += [example] if example else []
    if found:
        raise InputError(found)
    return read


def _places(search: Sequence[Path]) -> list[Path]:
    return [*search, bundled.graders_dir()]


def _spec(path: Path) -> tuple[GraderSpec | None, list[Problem]]:
    try:
        document = yaml_source.load(path / GRADER)
        spec = yaml_source.parse(document, GraderSpec)
    except InputError as error:
        return None, list(error.problems)
    if spec.name != path.resolve().name:
        what = f"the name `{spec.name}` is not that of the folder, `{path.resolve().name}`"
        return spec, [document.problem(("name",), what, "Make them the same.")]
    return spec, []


def _rubric(file: Path) -> tuple[str | None, list[Problem]]:
    try:
        content = file.read_bytes()
        text = content.decode()
    except OSError as error:
        return None, [Problem(str(file), None, "", f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return None, [Problem(str(file), line, "", "not UTF-8", "Save the file as UTF-8.")]
    if not text.strip():
        return None, [Problem(str(file), None, "", "the rubric is empty")]
    if len(text) > LARGEST_RUBRIC:
        return None, [Problem(str(file), None, "", f"longer than {LARGEST_RUBRIC:,} characters")]
    return text, []


def _example(line: str, spec: GraderSpec, file: Path, number: int) -> tuple[Example | None, list[Problem]]:
    try:
        example = Example.model_validate_json(line)
    except ValidationError as error:
        known = list(Example.model_fields)
        return None, [
            Problem(str(file), number, ".".join(str(part) for part in details["loc"]), *describe(details, known))
            for details in error.errors(include_url=False)
        ]
    what = _mismatch(example, spec)
    return example, [Problem(str(file), number, "", what)] if what else []


def _mismatch(example: Example, spec: GraderSpec) -> str | None:
    if (example.score is None) == (example.label is None):
        return "give `score` or `label`, one of them"
    if example.label is not None and example.label not in spec.labels:
        return f"`{example.label}` is not a label of this grader. {did_you_mean(example.label, list(spec.labels))}"
    if example.score is not None and not (spec.scale and spec.scale.min <= example.score <= spec.scale.max):
        return f"score {json.dumps(example.score)} is outside the scale"
    return None
