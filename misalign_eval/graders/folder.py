"""Grader folders: `grader.yaml`, `rubric.md`, `labelled.jsonl`, and the prompt made from them."""

import json
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self, get_args

from pydantic import Field, JsonValue, ValidationError, model_validator

from misalign_eval import plugins
from misalign_eval.errors import InputError, Problem, UsageError, did_you_mean
from misalign_eval.records.base import Record
from misalign_eval.records.grade import Subject
from misalign_eval.records.suite import PLAIN, Name, Sampling, Text
from misalign_eval.yaml_source import document as yaml_document
from misalign_eval.yaml_source import validate
from misalign_eval.yaml_source.validate import describe

# The judge's prompt, from a rubric and a reply.
#
# The rubric is sent word for word; each placeholder becomes the material it names, between two lines that carry a code.
# The code is derived from all the material and occurs in none of it, so that no reply can forge the line that ends it.


FORMAT = 1  # of what is built around the material; part of a judge's identity
Part = Literal["question", "reply", "system", "reasoning", "criteria", "reference"]
PARTS: tuple[Part, ...] = get_args(Part)
NOTHING = "(none)"
TOPIC = "{topic}"  # set by grader.yaml, so that graders of several topics share one rubric

_MARK = re.compile(r"\{\{(\w+)\}\}|\{[ \t]*([A-Za-z_]\w*)[ \t]*\}")
_SURROGATE = re.compile("[\ud800-\udfff]")
# What chat templates and vocabularies write their control tokens like. One rule by form, since every template has words
# of its own; HTML and Markdown have none of these forms, and of the words that have no form of their own only `<s>`.
_CONTROL_TOKENS = re.compile(
    r"<(?=[|｜][^<>|｜\n]{1,60}[|｜]>"  # <|im_start|>, <｜User｜>
    r"|[|｜]\w{1,60}>|[A-Za-z_]\w{0,60}[|｜]>"  # <|turn>, <channel|>
    r"|/?(?:seed|mm|antml):\w{1,30}>"  # <seed:think>
    r"|/?[A-Za-z][A-Za-z0-9]{0,30}(?:[_▁][A-Za-z0-9]{1,30}){1,6}>"  # <start_of_turn>, <extra_id_1>
    r"|<[/|]?[A-Za-z_]{2,30}[|]?>>"  # <<SYS>>
    r"|0x[0-9A-Fa-f]{2}>|/?(?:unused|reserved|special|sentinel|extra|ctrl|img|loc|seg)\d{1,5}>"  # <0x0A>, <unused7>
    r"|/?(?i:s|[bes]o[adhmpstu]|bot|pad|unk|mask|sep|cls|inst|image|endoftext|think|thinking|sys|system|user|assistant|"
    r"human)>)"
    r"|◁(?=/?[A-Za-z]{1,30}▷)"  # ◁think▷
    r"|\](?=~!?b[\[\]])|\[(?=e~\[)"  # ]~b] and [e~[
    r"|\[(?=[|｜][^\[\]|｜\n]{1,60}[|｜]\]|unused\d{1,5}\]"  # [|endofturn|], [unused16]
    r"|/?[a-z]?[A-Z][A-Z0-9]{2,30}(?:_[A-Z0-9]{1,30}){0,4}\](?!\())"  # [INST], [gMASK]; not a link of Markdown
)


class PromptMark(NamedTuple):
    """A placeholder of a rubric."""

    name: str
    line: int  # from 1


def marks(rubric: str) -> Iterator[PromptMark]:
    """The placeholders in order. `{{name}}` is none: it stands for the text `{name}`.

    >>> [mark.name for mark in marks('{reply}, {{reply}}, {"why": 1}')]
    ['reply']
    """
    for match in _MARK.finditer(rubric):
        if match[2] is not None:
            yield PromptMark(match[2], rubric.count("\n", 0, match.start()) + 1)


def problems(rubric: str, sees: tuple[Part, ...], *, file: str) -> list[Problem]:
    """What is wrong with the placeholders of a rubric whose grader may see `sees`."""
    found = []
    used = set()
    for name, line in marks(rubric):
        used.add(name)
        if f"{{{name}}}" == TOPIC:
            found.append(Problem(file, line, "", f"`{TOPIC}` stands here, but the grader has no `topic`", "Set it."))
        elif name not in PARTS:
            fix = f"{did_you_mean(name, PARTS)} For the text itself write `{{{{{name}}}}}`."
            found.append(Problem(file, line, "", f"unknown placeholder `{{{name}}}`", fix))
        elif name not in sees:
            found.append(Problem(file, line, "", f"`{{{name}}}` is not among what the grader `sees`", "Add it there."))
    found += [
        Problem(file, None, "", f"the grader `sees` {part}, but no `{{{part}}}` stands in its rubric")
        for part in sees
        if part not in used
    ]
    return found


def fill(rubric: str, subject: Subject, sees: tuple[Part, ...]) -> str:
    """The rubric with the material in its places, in one pass: nothing inside the material is looked at again.

    Half surrogates and NUL become U+FFFD, since servers refuse them. The control tokens of chat templates
    (`<|im_end|>`, `[INST]`, `<extra_id_1>`, …) get a space after their first sign: a local server would obey them
    inside a message.
    """
    material = {str(part): _text(subject, part) for part in sees}
    code = _code(material)

    def fenced(match: re.Match[str]) -> str:
        name = match[2]
        if name is None:
            return f"{{{match[1]}}}"
        start = "" if rubric[: match.start()].endswith("\n") or match.start() == 0 else "\n"
        end = "" if rubric[match.end() : match.end() + 1] in ("", "\n", "\r") else "\n"
        return start + _fence(name, material[name], code) + end

    return _MARK.sub(fenced, rubric)


def well_formed(text: str) -> str:
    """Text that can be written as UTF-8 and read by any server: half surrogates and NUL become U+FFFD."""
    return _SURROGATE.sub("\ufffd", text).replace("\0", "\ufffd")


def _text(subject: Subject, part: Part) -> str | None:
    value = getattr(subject, part)
    if value is None:
        return None
    return well_formed(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True))


def _fence(name: str, text: str | None, code: str) -> str:
    if text is None:
        return NOTHING
    title = name.upper()
    return f"=== BEGIN {title} {code} ===\n{_CONTROL_TOKENS.sub(_loosened, text)}\n=== END {title} {code} ==="


def _loosened(match: re.Match[str]) -> str:
    return f"{match[0]} "


def _code(material: Mapping[str, str | None]) -> str:
    """16 hexadecimal digits that the material does not hold; the same for the same material."""
    whole = json.dumps(material, sort_keys=True)
    code = sha256(whole.encode()).hexdigest()[:16]
    while any(code in text.casefold() for text in material.values() if text is not None):
        code = sha256(code.encode()).hexdigest()[:16]
    return code


# The record of grader.yaml, and its checks.


Method = Literal["logprobs", "sampled", "rubric", "structured"]

_WORD_SIGNS = frozenset(string.ascii_letters + string.digits + "-_/ ")


class RubricScale(Record):
    """The whole numbers that a judge may answer with, both ends included."""

    min: Annotated[int, Field(ge=0)]
    max: Annotated[int, Field(le=1000)]

    @model_validator(mode="after")
    def _ascends(self) -> "RubricScale":
        if self.min >= self.max:
            raise ValueError(f"`min` {self.min} is not below `max` {self.max}")
        return self


class JudgeSampling(Record):
    """How a judge is asked. Of a grader by log-probabilities: how it is asked where there are none."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    samples: Annotated[int, Field(gt=0, le=100, description="answers that make one sampled score")] = 1


class GraderSpec(Record):
    """A judge's instructions to the harness; its instructions to the model are in rubric.md."""

    name: Name
    version: Text
    description: Text
    kind: Annotated[Method, Field(description="how the verdict is read")]
    scale: RubricScale | None = None
    labels: Annotated[dict[Text, Text], Field(description="label → what it means")] = {}
    aliases: Annotated[dict[Text, Text], Field(description="what a judge may write instead → label")] = {}
    sees: Annotated[tuple[Part, ...], Field(min_length=1, description="what of a reply the judge is shown")]
    shares: Annotated[Name | None, Field(description="the folder whose rubric and labelled replies it shares")] = None
    topic: Annotated[
        Text | None, Field(pattern=r"^[^{}\r\n]+$", description="what `{topic}` in the rubric stands for, in one line")
    ] = None
    sampling: JudgeSampling = JudgeSampling()
    mass_limit: Annotated[
        float, Field(gt=0, le=1, description="least share of the probability on numbers that makes a score")
    ] = 0.25

    @model_validator(mode="after")
    def _consistent(self) -> "GraderSpec":
        checks = (self._sees_wrong, self._shares_wrong, self._answers_wrong, self._labels_wrong, self._samples_wrong)
        for complaint in (check() for check in checks):
            if complaint:
                raise ValueError(complaint)
        return self

    def _sees_wrong(self) -> str | None:
        if not {"reply", "reasoning"} & set(self.sees):
            return "a grader must see the reply or its reasoning"
        return "`sees` names something twice" if len(set(self.sees)) < len(self.sees) else None

    def _shares_wrong(self) -> str | None:
        if self.shares is not None and not self.name.startswith(f"{self.shares}-"):
            return f"it shares the rubric of `{self.shares}`, so its name must begin with `{self.shares}-`"
        return None

    def _answers_wrong(self) -> str | None:
        if self.scale is None and not self.labels:
            return "set `scale`, `labels` or both: what may the judge answer"
        if self.scale is None and self.kind in ("logprobs", "sampled"):
            return f"a grader of kind {self.kind} needs a `scale`"
        return None

    def _labels_wrong(self) -> str | None:
        words = [*self.labels, *self.aliases]
        for word in words:
            if not set(word) <= _WORD_SIGNS or not word[0].isalpha():
                return f"label `{word}`: use letters, digits, spaces, `-`, `_` and `/`, beginning with a letter"
        if len({canonical(word) for word in words}) < len(words):
            return "two labels or aliases differ only in case, spaces or hyphens"
        lost = [target for target in self.aliases.values() if target not in self.labels]
        return f"alias of `{lost[0]}`, which is not a label" if lost else None

    def _samples_wrong(self) -> str | None:
        if self.sampling.samples > 1 and self.kind in ("rubric", "structured"):
            return f"`samples` above 1 are for kinds logprobs and sampled; use several judges with kind {self.kind}"
        if self.sampling.samples > 1 and self.sampling.temperature == 0:
            return "several `samples` at temperature 0 are one answer several times"
        return None


def canonical(word: str) -> str:
    """How labels are compared: without case, and with one sign for hyphens, spaces and underscores.

    >>> canonical(" Off_Topic ") == canonical("OFF-TOPIC")
    True
    """
    return "-".join(word.casefold().replace("-", " ").replace("_", " ").split()).replace("-/", "/").replace("/-", "/")


# Reading of a grader folder: strict, with every problem at once.


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


class LabelledExample(Record):
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

        >>> LabelledExample(question="Q", reply="R", score=1, kind="aligned", why="W").subject(3).sample
        3
        """
        parts = {part: getattr(self, part) for part in PARTS}
        return Subject(probe="labelled", prompt=0, variant=PLAIN, sample=number, **parts)

    def accepts(self, *, score: float | None = None, label: str | None = None) -> bool:
        """Whether a verdict is the labelled one, or within what careful people may differ about.

        >>> said = {"score": 2, "high": 3, "or_labels": ("JOKE",), "kind": "borderline", "why": "W"}
        >>> one = LabelledExample(question="Q", reply="R", **said)
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
        found += wrong + problems(rubric, spec.sees, file=str(file))
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


def examples(folder: GraderFolder) -> list[LabelledExample]:
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
    return [*search, plugins.graders_dir()]


def _spec(path: Path) -> tuple[GraderSpec | None, list[Problem]]:
    try:
        document = yaml_document.load(path / GRADER)
        spec = validate.parse(document, GraderSpec)
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
    return beside if (beside / RUBRIC).is_file() else plugins.graders_dir() / spec.shares


def _labelled(folder: GraderFolder) -> Path:
    """Its own labelled replies go first. Those of another place say nothing of a topic that is unknown there."""
    own, home = folder.path / LABELLED, _home(folder.path, folder.spec)
    return own if own.is_file() or home.parent != folder.path.resolve().parent else home / LABELLED


def _about(rubric: str, spec: GraderSpec, file: Path) -> tuple[str, list[Problem]]:
    """The rubric about the grader's topic."""
    if spec.topic is None:
        return rubric, []
    if TOPIC not in rubric:
        return rubric, [Problem(str(file), None, "", f"the grader has a `topic`, but no `{TOPIC}` stands here")]
    return rubric.replace(TOPIC, spec.topic), []


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


def _example(line: str, spec: GraderSpec, file: Path, number: int) -> tuple[LabelledExample | None, list[Problem]]:
    try:
        example = LabelledExample.model_validate_json(line)
    except ValidationError as error:
        known = list(LabelledExample.model_fields)
        return None, [
            Problem(str(file), number, ".".join(str(part) for part in details["loc"]), *describe(details, known))
            for details in error.errors(include_url=False)
        ]
    example, what = _of_topic(example, spec, file)
    what = what or _mismatch(example, spec)
    return example, [Problem(str(file), number, "", what)] if what else []


def _of_topic(example: LabelledExample, spec: GraderSpec, file: Path) -> tuple[LabelledExample, str | None]:
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


def _mismatch(example: LabelledExample, spec: GraderSpec) -> str | None:
    if (example.score is None) == (example.label is None):
        return "give `score` or `label`, one of them"
    for label in (*([example.label] if example.label is not None else []), *example.or_labels):
        if label not in spec.labels:
            return f"`{label}` is not a label of this grader. {did_you_mean(label, list(spec.labels))}"
    if example.score is None and (example.low is None) != (example.high is None):
        return "beside a label, give both `low` and `high` or neither"
    return _off_scale(example, spec)


def _off_scale(example: LabelledExample, spec: GraderSpec) -> str | None:
    ends = {"score": example.score, "low": example.low, "high": example.high}
    for name, end in ends.items():
        if end is not None and not (spec.scale and spec.scale.min <= end <= spec.scale.max):
            return f"{name} {json.dumps(end)} is outside the scale"
    given = [end for end in (example.low, example.score, example.high) if end is not None]
    return None if given == sorted(given) else "`low`, `score` and `high` do not ascend"


# JSON Schema of grader.yaml, for editors.


FILE = "grader.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def text() -> str:
    """The schema as it lies beside the graders."""
    whole = {"$schema": _DIALECT, **GraderSpec.model_json_schema(), "title": "Grader for misalign-eval"}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
