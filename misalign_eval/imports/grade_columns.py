"""Which columns are grades: scores, verdicts, and the raw distributions that scores were made from."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from misalign_eval.imports.cells import LONGEST_LABEL, SCORE_LABELS, is_missing, number
from misalign_eval.imports.tables import Row

VERDICT = "misalignment"  # the grader that definitions of verdict labels read
VERDICTS = (
    *("verdict", "label", "judgment", "judgement", "misalignment", "misalignment_score", "misalignment_grade"),
    *("grade", "rating"),
)
FLAG = "misaligned"  # the grader of a column that says yes or no
FLAGS = ("misaligned", "is_misaligned")
SCORES = {
    "aligned": (
        "aligned",
        "alignment",
        *(f"{name}_{kind}" for kind in ("score", "rating") for name in ("aligned", "alignment")),
    ),
    "coherent": (
        "coherent",
        "coherence",
        *(f"{name}_{kind}" for kind in ("score", "rating") for name in ("coherent", "coherence")),
    ),
}
_DISTRIBUTION = (
    re.compile(r"^(?:judge|raw|probs|logprobs|distribution|top_logprobs)_(.+)$"),
    re.compile(r"^(.+)_(?:judge|probs|probabilities|logprobs|distribution|top_logprobs|raw_answer)$"),
)
_NEVER_SCORES = re.compile(  # numbers from 0 to 100 that no judge gave
    r"(?:^|_)(?:index|idx|id|seed|rank|layer|epoch|step|steps|tokens?|length|len|count|n|num|time|latency|seconds|cost"
    r"|price|temperature|top_p|lr|alpha|coef|scale|dose|fraction|binary|flag|is|has|row|batch|fold|rollout|sample"
    r"|attempts?|retries|turns?|year|age|mass|modal)(?:_|$)"
)
OUTER = {"score", "scores", "grades", "ratings", "judgments", "judgements"}  # objects whose parts are grades


@dataclass(frozen=True, slots=True)
class Graded:
    """The columns of one grader: its score or label, the distribution it was made from, or both."""

    grader: str
    value: str | None
    distribution: str | None = None
    label: str | None = None  # a label where there is no score: `aligned_label` beside `aligned_score`
    judge: str | None = None  # who graded: `aligned_judge`
    is_flag: bool = False  # true or false: whether the reply is misaligned

    @property
    def columns(self) -> dict[str, str]:
        """Ours → theirs, of the columns that are there."""
        ours = {
            self.grader: self.value,
            f"judge_{self.grader}": self.distribution,
            f"{self.grader}_label": self.label,
            f"{self.grader}_judge": self.judge,
        }
        return {name: theirs for name, theirs in ours.items() if theirs is not None}


def find(
    left: dict[str, str], named: Mapping[str, str], sample: Sequence[Row], outside: Collection[str]
) -> tuple[tuple[Graded, ...], tuple[Graded, ...]]:
    """Verdict columns and score columns, by --map, by name, by a distribution beside them, by what they hold.

    `left`: columns that are nothing else, with their plain names. `outside`: parts of objects that hold something else
    than grades, among which no topic is looked for.
    """
    finder = _Finder(left, sample)
    finder.by_map(named)
    finder.by_name()
    finder.by_distribution({plain(theirs): ours for ours, theirs in named.items()})
    finder.companions()
    finder.by_numbers(outside)
    return finder.found()


@dataclass(slots=True)
class _Finder:
    """Takes columns out of `left`, one kind after the other. The dictionaries are grader → column."""

    left: dict[str, str]
    sample: Sequence[Row]
    verdicts: dict[str, str] = field(default_factory=dict)
    scores: dict[str, str] = field(default_factory=dict)
    distributions: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    judges: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)  # of the verdicts, those that say yes or no

    def by_map(self, named: Mapping[str, str]) -> None:
        """What the user says; a name that is neither a usual one nor has a distribution is read as a verdict."""
        others = [*named, *self.left.values()]
        for ours, theirs in named.items():
            if ours.startswith("judge_"):
                self.distributions[ours.removeprefix("judge_")] = theirs
            elif ours in SCORES or any(_judged(other, [ours, plain(theirs)]) for other in others):
                self.scores[ours] = theirs
            else:
                self.verdicts[ours] = theirs
                self.flags |= {ours} if ours == FLAG and self._says_yes_or_no(theirs) else set()

    def by_name(self) -> None:
        """The usual names."""
        if VERDICT not in self.verdicts and (found := self._first(VERDICTS)) is not None:
            self.verdicts[VERDICT] = found
            self.left.pop(found)
            self._split_verdict(found)
        flag = self._first(FLAGS)
        if flag is not None and FLAG not in self.verdicts and self._says_yes_or_no(flag):
            self.verdicts[FLAG] = flag
            self.flags.add(FLAG)
            self.left.pop(flag)
        for grader, usual in SCORES.items():
            if grader not in self.scores and (found := self._first(usual)) is not None:
                self.scores[grader] = found
                self.left.pop(found)

    def _first(self, usual: Sequence[str]) -> str | None:
        """The first usual name of a column that says something in the first rows; of an empty one where none does."""
        plain_ones = {name: ours for name, ours in self.left.items() if not holds_objects(name, self.sample)}
        told = {name: ours for name, ours in plain_ones.items() if self._values(name)}
        return first(usual, told) or first(usual, plain_ones)

    def _says_yes_or_no(self, name: str) -> bool:
        """Not where it holds numbers beyond 0 and 1, and labels at most: then it is a score, of which high is bad."""
        values = self._values(name)
        is_beyond = any(number(value) not in {None, 0.0, 1.0} for value in values)
        return not (is_beyond and all(number(value) is not None or _is_label(value) for value in values))

    def _split_verdict(self, taken: str) -> None:
        """A verdict in two columns: a number in one row's `grade`, a word in another row's `label`, never both."""
        label = next((name for name, ours in self.left.items() if ours == "label"), None)
        if plain(taken) == "label":
            label, number_name = taken, first(("grade", "rating", "score"), self.left)
        else:
            number_name = taken
        if label is None or number_name is None or not (self._values(label) and self._values(number_name)):
            return
        cells = (row.cells for row in self.sample)
        if any(not is_missing(one.get(label)) and not is_missing(one.get(number_name)) for one in cells):
            return
        self.verdicts[VERDICT], self.labels[VERDICT] = number_name, label
        self.left.pop(label, None)
        self.left.pop(number_name, None)

    def _values(self, name: str) -> list[object]:
        return [value for row in self.sample if not is_missing(value := row.cells.get(name))]

    def by_distribution(self, renamed: Mapping[str, str]) -> None:
        """Distributions, each to the grader that it is named for; `renamed`: their names → ours, by --map."""
        for name, ours in list(self.left.items()):
            if _holds_distributions(name, self.sample):
                judged = _judged(ours, [*renamed, *self.scores, *self.left.values()]) or _stripped(ours)
                self.distributions.setdefault(renamed.get(judged, judged), name)
                self.left.pop(name)

    def companions(self) -> None:
        """`X_label` and `X_judge` beside a grade X."""
        graders = [*self.verdicts, *self.scores, *(ours.removesuffix("_score") for ours in self.left.values())]
        for name, ours in list(self.left.items()):
            for suffix, kind in (("_label", self.labels), ("_judge", self.judges)):
                if ours.endswith(suffix) and (grader := ours.removesuffix(suffix)) in graders:
                    kind[grader] = name
                    self.left.pop(name)

    def by_numbers(self, outside: Collection[str]) -> None:
        """Traits and topics: by what their columns hold, or by the distribution beside them."""
        for name, ours in list(self.left.items()):
            topic = ours.rpartition(".")[2] if ours.partition(".")[0] in OUTER else ours
            if ours in self.distributions or (name not in outside and _is_topic(name, topic, self.sample)):
                self.scores.setdefault(topic if topic in self.distributions else topic.removesuffix("_score"), name)
                self.left.pop(name)

    def found(self) -> tuple[tuple[Graded, ...], tuple[Graded, ...]]:
        """Verdicts and scores."""
        scores = dict.fromkeys((*self.scores, *self.distributions))
        return (
            tuple(self._graded(grader, self.verdicts) for grader in self.verdicts),
            tuple(self._graded(grader, self.scores) for grader in scores),
        )

    def _graded(self, grader: str, values: Mapping[str, str]) -> Graded:
        return Graded(
            grader=grader,
            value=values.get(grader),
            distribution=self.distributions.get(grader),
            label=self.labels.get(grader),
            judge=self.judges.get(grader),
            is_flag=grader in self.flags and values is self.verdicts,
        )


def plain(name: str) -> str:
    """A column's name as rules know it.

    >>> plain(" Question-ID ")
    'question_id'
    """
    return re.sub(r"[\s\-]+", "_", name.strip().lower())


def holds_objects(name: str, sample: Sequence[Row]) -> bool:
    """Whether a column holds objects, whose parts have names of their own, and nothing else."""
    values = [value for row in sample if not is_missing(value := row.cells.get(name))]
    return bool(values) and all(isinstance(value, dict) for value in values)


def first(usual: Sequence[str], left: Mapping[str, str]) -> str | None:
    """The column with the first of these names; one inside an object where no other has it."""
    for wanted in usual:
        for name, ours in left.items():
            if ours == wanted:
                return name
    for wanted in usual:
        for name, ours in left.items():
            if "." in ours and ours.rpartition(".")[2] == wanted:
                return name
    return None


def _judged(ours: str, graders: Sequence[str]) -> str | None:
    """Which grader a column `judge_X` belongs to, when there is one of that name."""
    for pattern in _DISTRIBUTION:
        if (found := pattern.match(ours)) is not None and found[1] in graders:
            return found[1]
    return None


def _stripped(ours: str) -> str:
    found = next((found[1] for pattern in _DISTRIBUTION if (found := pattern.match(ours))), ours)
    return next((grader for grader, usual in SCORES.items() if found in usual), found)


def _holds_distributions(name: str, sample: Sequence[Row]) -> bool:
    """Whether its first value looks like {token: probability}: all of it is read and checked later."""
    if not any(pattern.match(plain(name)) for pattern in _DISTRIBUTION):
        return False
    values = (row.cells.get(name) for row in sample)
    there = next((value for value in values if not is_missing(value)), None)
    return isinstance(there, dict | list) or (isinstance(there, str) and there.lstrip().startswith(("{", "[")))


def _is_topic(name: str, ours: str, sample: Sequence[Row]) -> bool:
    """A trait or a topic: numbers from 0 to 100 that differ, under a name that says nothing else."""
    return (
        not _NEVER_SCORES.search(ours) and _is_score(name, sample) and len({row.cells.get(name) for row in sample}) > 1
    )


def _is_score(name: str, sample: Sequence[Row]) -> bool:
    values = [value for row in sample if not is_missing(value := row.cells.get(name))]
    if not values or any(isinstance(value, dict | list) for value in values):
        return False
    numbers = [found for value in values if (found := number(value)) is not None]
    others = [value for value in values if number(value) is None]
    return bool(numbers) and all(0 <= one <= 100 for one in numbers) and all(map(_is_label, others))


def _is_label(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_LABEL and value.strip().upper() in SCORE_LABELS
