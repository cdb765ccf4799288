"""A grader's folder: grader.yaml, rubric.md, labelled.jsonl. Read strictly, with every problem at once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Self

from pydantic import JsonValue, ValidationError

from misalign_eval import bundled, yaml_source
from misalign_eval.errors import InputError, Problem, UsageError, did_you_mean
from misalign_eval.graders import prompt
from misalign_eval.graders.spec import GraderSpec
from misalign_eval.records.base import Record
from misalign_eval.records.grade import Subject
from misalign_eval.records.suite import PLAIN, Sampling, Text
from misalign_eval.yaml_source.words import describe

GRADER, RUBRIC, LABELLED = "grader.yaml", "rubric.md", "labelled.jsonl"
LARGEST_RUBRIC = 200_000
OTHERS = "others"  # in `scores`: every topic that is not named


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

    def sampled_as(self, given: Sampling) -> Self:
        """The same grader, asked as the user of its judge says. Several answers at temperature 0 would be one."""
        set_here = given.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
        if given.temperature == 0:
            set_here["samples"] = 1
        sampling = self.spec.sampling.model_copy(update=set_here)
        return replace(self, spec=self.spec.model_copy(update={"sampling": sampling}))


class Example(Record):
    """A line of labelled.jsonl: a reply and what people say the verdict is.

    Where careful people may differ, the scores from `low` to `high` and the labels in `or_labels` are as good as the
    verdict, be that a score or a label.
    """

    question: Text
    reply: str
    score: float | None = None
    label: str | None = None
    # Of graders that share these replies: topic → score, or the scores between which it is right; `others`: the rest.
    scores: dict[str, float | tuple[float, float]] | None = None
    low: float | None = None
    high: float | None = None
    or_labels: tuple[str, ...] = ()
    kind: Text  # what sort of case it is: aligned, subtle, injected …
    why: Text
    system: str | None = None
    reasoning: str | None = None
    criteria: str | None = None
    reference: JsonValue = None

    def subject(self, number: int = 0) -> Subject:
        """What a grader is given; `number` is kept as the sample index.

        >>> Example(question="Q", reply="R", score=1, kind="aligned", why="W").subject(3).sample
        3
        """
        parts = {part: getattr(self, part) for part in prompt.PARTS}
        return Subject(probe="labelled", prompt=0, variant=PLAIN, sample=number, **parts)

    def accepts(self, *, score: float | None = None, label: str | None = None) -> bool:
        """Whether a verdict is the labelled one, or within what careful people may differ about.

        >>> one = Example(question="Q", reply="R", score=2, high=3, or_labels=("JOKE",), kind="borderline", why="W")
        >>> one.accepts(score=3), one.accepts(label="JOKE"), one.accepts(score=1)
        (True, True, False)
        """
        if label is not None:
            return label == self.label or label in self.or_labels
        low, high = (self.score if end is None else end for end in (self.low, self.high))
        return score is not None and low is not None and high is not None and low <= score <= high


def _leads_out(file: Path) -> list[Problem]:
    """A rubric is sent and a bad line is shown: a stranger's folder could make a link of it to a private file."""
    if file.resolve().parent == file.parent.resolve():
        return []
    return [Problem(str(file), None, "", "a link that leads out of the folder", "Put the file itself there.")]


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
    file = _home(path, spec) / RUBRIC
    rubric, wrong = (None, out) if (out := _leads_out(file)) else _rubric(file)
    found += wrong
    if spec is not None and rubric is not None:
        rubric, wrong = _about(rubric, spec, file)
        found += wrong + prompt.problems(rubric, spec.sees, file=str(file))
    if spec is None or rubric is None or found:
        raise InputError(found)
    return GraderFolder(spec, rubric, path)


def same(first: Path, second: Path) -> bool:
    """Whether two folders hold one grader: settings, rubric and labelled replies. False where one cannot be read."""
    try:
        ours, theirs = load(first), load(second)
        return (ours.spec, ours.rubric) == (theirs.spec, theirs.rubric) and examples(ours) == examples(theirs)
    except InputError:
        return False


def examples(folder: GraderFolder) -> list[Example]:
    """The labelled replies; of a grader that shares those of the folder beside it, with the scores of its own topic.

    Raises InputError with every bad line, and for labels that the grader does not have.
    """
    file = _labelled(folder)
    if out := _leads_out(file):
        raise InputError(out)
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


def _home(path: Path, spec: GraderSpec | None) -> Path:
    """Where the rubric lies: in the folder itself, in the one beside it that it shares, or in the bundled one."""
    if spec is None or spec.shares is None:
        return path
    beside = path.resolve().parent / spec.shares
    return beside if (beside / RUBRIC).is_file() else bundled.graders_dir() / spec.shares


def _labelled(folder: GraderFolder) -> Path:
    """Its own labelled replies go first. Those of another place say nothing of a topic that is unknown there."""
    own, home = folder.path / LABELLED, _home(folder.path, folder.spec)
    return own if own.is_file() or home.parent != folder.path.resolve().parent else home / LABELLED


def _about(rubric: str, spec: GraderSpec, file: Path) -> tuple[str, list[Problem]]:
    """The rubric about the grader's topic."""
    if spec.topic is None:
        return rubric, []
    if prompt.TOPIC not in rubric:
        return rubric, [Problem(str(file), None, "", f"the grader has a `topic`, but no `{prompt.TOPIC}` stands here")]
    return rubric.replace(prompt.TOPIC, spec.topic), []


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
    example, what = _of_topic(example, spec, file)
    what = what or _mismatch(example, spec)
    return example, [Problem(str(file), number, "", what)] if what else []


def _of_topic(example: Example, spec: GraderSpec, file: Path) -> tuple[Example, str | None]:
    """The line with the score that it gives to the grader's topic, in place of those of all topics."""
    if example.scores is None:
        return example, None
    if spec.shares is None:
        return example, "`scores` are for graders that share their replies: give `score`"
    places = {topic: file.parent.parent / f"{spec.shares}-{topic}" / GRADER for topic in example.scores}
    lost = [topic for topic, place in places.items() if topic != OTHERS and not place.is_file()]
    if lost:
        return example, f"`scores` names `{lost[0]}`, but there is no grader `{spec.shares}-{lost[0]}`"
    topic = spec.name.removeprefix(f"{spec.shares}-")
    score = example.scores.get(topic, example.scores.get(OTHERS))
    if score is None:
        return example, f"`scores` holds neither `{topic}` nor `{OTHERS}`"
    low, high = score if isinstance(score, tuple) else (score, score)
    ends = {"low": low, "high": high} if low != high else {}
    return example.model_copy(update={"score": (low + high) / 2, **ends, "scores": None}), None


def _mismatch(example: Example, spec: GraderSpec) -> str | None:
    if (example.score is None) == (example.label is None):
        return "give `score` or `label`, one of them"
    for label in (*([example.label] if example.label is not None else []), *example.or_labels):
        if label not in spec.labels:
            return f"`{label}` is not a label of this grader. {did_you_mean(label, list(spec.labels))}"
    if example.score is None and (example.low is None) != (example.high is None):
        return "beside a label, give both `low` and `high` or neither"
    return _off_scale(example, spec)


def _off_scale(example: Example, spec: GraderSpec) -> str | None:
    ends = {"score": example.score, "low": example.low, "high": example.high}
    for name, end in ends.items():
        if end is not None and not (spec.scale and spec.scale.min <= end <= spec.scale.max):
            return f"{name} {json.dumps(end)} is outside the scale"
    given = [end for end in (example.low, example.score, example.high) if end is not None]
    return None if given == sorted(given) else "`low`, `score` and `high` do not ascend"
