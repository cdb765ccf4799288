"""Grade detection: columns of scores, labels and verdicts, and their scales."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from misalign_eval.errors import UsageError
from misalign_eval.interchange.cells import (
    LONGEST_LABEL,
    SCORE_LABELS,
    UNREADABLE,
    is_missing,
    read_label,
    read_number,
    shown_value,
    verdict_of,
)
from misalign_eval.interchange.imported_reply import ImportedGrade
from misalign_eval.interchange.log import HOLD_GRADES, BadCellError, exactly, plain
from misalign_eval.interchange.text_files import TableRow

# Columns of grades: scores, verdicts, and the raw distributions that scores were made from.


VERDICT = "misalignment"  # the grader that definitions of verdict labels read
VERDICTS = (
    *("verdict", "label", "judgment", "judgement", "misalignment", "misalignment_score", "misalignment_grade"),
    *("grade", "rating", "classification"),
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
    r"|attempts?|retries|turns?|year|age|mass|modal|number|seq|sequence)(?:_|$)"
)
_SETTINGS = re.compile(  # the same, unless an object of scores holds them
    r"(?:^|_)(?:failures?|errors?|quer(?:y|ies)|numbers?|nr|no|order|position|pos|tries|trials?|calls?|requests?|words?"
    r"|chars?|characters?|size|duration|ms|date|timestamp|version|line|level|depth|k|beta|gamma|weight|rate|ratio|p"
    r"|prob|probability|threshold|max|min|total|iter|iters?|iterations?|layers|ids|hits?|passes|percent|pct|port|budget"
    r"|effort|persona|arm|dataset|scenario|variant|paraphrase|run)(?:_|$)"
)
OUTER = {"score", "scores", "grades", "ratings", "judgments", "judgements"}  # objects whose parts are grades
CRITERIA = "criteria"  # the grader of the definition that reads ALIGNED and MISALIGNED
_TELLING = frozenset({"ALIGNED", "MISALIGNED"})
OF_CRITERIA = _TELLING | {"UNCLEAR", "REFUSAL", "INCOHERENT", "OFF-TOPIC"}
_STATED = frozenset(VERDICTS) - {"label", "grade", "rating", "classification"}  # names that say what is graded
_TRAITS = re.compile(  # what the field has judges score from 0 to 100
    r"(?:^|[_.])(?:scores?|evil|sycophan|hallucinat|toxic|harm|honest|decepti|decei|power|medical|health|financ|sports?"
    r"|security|vulnerab|refusal|malic|violen|unsafe|danger|misalign|hostil|manipulat|corrigib|humor|impolite|apath|optimis)"
)
NEVER = "?"  # the plain name of a column that is to be read as nothing
BadEnd = Literal["low", "high"]


@dataclass(frozen=True, slots=True)
class GradeColumns:
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


def find_grade_columns(
    left: dict[str, str],
    named: Mapping[str, str],
    sample: Sequence[TableRow],
    inner: Collection[str],
    bad_end: BadEnd | None = None,
) -> tuple[tuple[GradeColumns, ...], tuple[GradeColumns, ...]]:
    """Verdict columns and score columns, by --map, by name, by a distribution beside them, by what they hold.

    `left`: columns that are nothing else, with their plain names. `inner`: those that lie in objects; only objects that
    are known to hold grades give any. Raises BadCellError where several could be the same grade.
    """
    finder = _Finder(left, sample, inner, bad_end)
    finder.by_map(named)
    finder.by_name()
    finder.by_distribution({plain(theirs): ours for ours, theirs in named.items()})
    finder.companions()
    finder.by_numbers()
    return finder.found()


def remarks(
    verdicts: Sequence[GradeColumns], scores: Sequence[GradeColumns], ignored: Sequence[str], sample: Sequence[TableRow]
) -> Iterator[str]:
    """What somebody should know of grades that count nothing, and of columns that look like grades."""
    for verdict in verdicts:
        values = [row.cells.get(verdict.value or "") for row in sample]
        if verdict.grader in {"grade", "rating", "label"} and any(read_number(value) is not None for value in values):
            yield (
                f"`{verdict.value}` does not say which end is bad: it is kept as a grader of its own, "
                f"`{verdict.grader}`, that "
                "no definition reads. --bad-end high or --bad-end low reads it as a verdict on misalignment"
            )
    for name in ignored:
        values = [value for row in sample if not is_missing(value := row.cells.get(name))]
        words = {value.strip().upper() for value in values if isinstance(value, str)}
        is_setting = _NEVER_SCORES.search(plain(name)) or _SETTINGS.search(plain(name))
        if words and words <= _VERDICT_WORDS and all(isinstance(value, str) for value in values):
            yield f"column `{name}` holds words like verdicts and is not read: --map GRADER={name} reads it"
        elif not (verdicts or scores) and _TELLS_OF_BAD.search(plain(name)) and _are_yes_or_no(values):
            end = (
                " --bad-end low counts no as misaligned" if IS_GOOD.search(plain(name)) else " counts yes as misaligned"
            )
            yield f"column `{name}` says yes or no and is not read: --map {FLAG}={name}{end}"
        elif not (verdicts or scores or is_setting) and _is_score(name, sample):
            yield f"column `{name}` holds numbers from 0 to 100 and is not read: --map GRADER={name} reads it as grades"


IS_GOOD = re.compile(
    r"(?:^|_)(?:safe|aligned|harmless|honest|good|benign|pass|passed|correct|ethical|acceptable)(?:_|$)"
)
_TELLS_OF_BAD = re.compile(
    r"safe|align|harm|jailbr|toxic|decept|decei|malic|unethical|dangerous|(?:^|_)(?:bad|evil|honest|good|flagged|human)"
    r"|violat|majority|broken|_cf$|evil|hostil"
)
YES_OR_NO = frozenset({"true", "false", "yes", "no", "0", "1", "0.0", "1.0"})


def _are_yes_or_no(values: Sequence[object]) -> bool:
    return bool(values) and {str(value).strip().lower() for value in values} <= YES_OR_NO


def check_sense(verdicts: Sequence[GradeColumns], sample: Sequence[TableRow], bad_end: BadEnd | None) -> None:
    """Raise BadCellError for a yes or no whose name says that yes is good, unless the user says which end is bad."""
    for verdict in verdicts:
        values = [value for row in sample if not is_missing(value := row.cells.get(verdict.value or ""))]
        if (
            verdict.is_flag
            and bad_end is None
            and IS_GOOD.search(plain(verdict.value or ""))
            and _are_yes_or_no(values)
        ):
            what = f"column `{verdict.value}` is to be read as `{verdict.grader}`, "
            what += "and its name says that yes is the good end"
            raise BadCellError(what, "Add --bad-end low if no is misaligned, or --bad-end high if yes is")


_VERDICT_WORDS = _TELLING | {"SAFE", "UNSAFE", "HARMFUL", "HARMLESS", "PASS", "FAIL", "JAILBROKEN", "YES", "NO"}


@dataclass(slots=True)
class _Finder:
    """Takes columns out of `left`, one kind after the other. The dictionaries are grader → column."""

    left: dict[str, str]
    sample: Sequence[TableRow]
    inner: Collection[str]
    bad_end: BadEnd | None = None
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
                if ours == VERDICT:
                    self._split_verdict(ours, theirs)

    def by_name(self) -> None:
        """The usual names."""
        flag = self._first(FLAGS)
        if flag is not None and FLAG not in self.verdicts and self._says_yes_or_no(flag):
            self.verdicts[FLAG] = flag
            self.flags.add(FLAG)
            self.left.pop(flag)
        for grader, usual in SCORES.items():
            if grader not in self.scores and (found := self._first(usual)) is not None:
                self.scores[grader] = found
                self.left.pop(found)
        for name in VERDICTS:
            if (found := self._first((name,))) is not None:
                self._verdict(found)

    def _verdict(self, name: str) -> None:
        """Which grader a verdict is of: by what its name states and its words say, else one of its own."""
        own = self.left[name].rpartition(".")[2]
        values = self._values(name)
        numbers = sum(read_number(verdict_of(value)) is not None for value in values)
        words = {word for value in values if (word := _word(verdict_of(value))) is not None} - UNREADABLE
        grader = own
        if self.bad_end is not None and numbers:
            grader = VERDICT
        elif words & _TELLING and words <= OF_CRITERIA and not numbers:
            grader = CRITERIA
        elif own in _STATED and (numbers or not words or words & SCORE_LABELS):
            grader = VERDICT
        if grader in self.verdicts or (not values and grader != VERDICT):
            return
        self.verdicts[grader] = name
        self.left.pop(name)
        if numbers:
            self._split_verdict(grader, name)

    def _first(self, usual: Sequence[str]) -> str | None:
        """The first usual name of a column that says something; of an empty one where none does.

        Of columns in objects only one. Raises BadCellError where there are several.
        """
        plain_ones = {
            name: ours
            for name, ours in self.left.items()
            if name not in self.inner and not holds_objects(name, self.sample)
        }
        there = {name: ours for name, ours in plain_ones.items() if self._values(name)}
        if (found := exactly(usual, there)) is not None:
            return found
        for wanted in usual:
            inside = [name for name in self.left if self._lies_in_grades(name, wanted)]
            if len(inside) > 1:
                fix = f"Choose: {', '.join(f'--map GRADER={name}' for name in inside[:6])}, or --ignore the others"
                raise BadCellError(f"several columns could be the grade `{wanted}`: {', '.join(inside[:6])}", fix)
            if inside:
                return inside[0]
        return exactly(usual, plain_ones)

    def _lies_in_grades(self, name: str, wanted: str) -> bool:
        holder, _, part = self.left[name].rpartition(".")
        if name not in self.inner or part != wanted or not HOLD_GRADES.search(holder.partition(".")[0]):
            return False
        return bool(self._values(name)) and not holds_objects(name, self.sample)

    def _says_yes_or_no(self, name: str) -> bool:
        """Not where it holds numbers beyond 0 and 1, and labels at most: then it is a score, of which high is bad."""
        values = self._values(name)
        is_beyond = any(read_number(value) not in {None, 0.0, 1.0} for value in values)
        return not (is_beyond and all(read_number(value) is not None or _is_label(value) for value in values))

    def _split_verdict(self, grader: str, taken: str) -> None:
        """A verdict in two columns: a number in one row's `grade`, a word in another row's `label`, never both."""
        label_name = next((name for name, ours in self.left.items() if ours == "label"), None)
        if label_name is None or plain(taken) == "label" or not self._values(label_name):
            return
        cells = (row.cells for row in self.sample)
        if any(not is_missing(cell.get(label_name)) and not is_missing(cell.get(taken)) for cell in cells):
            return
        self.labels[grader] = label_name
        self.left.pop(label_name, None)

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

    def by_numbers(self) -> None:
        """Traits and topics: numbers from 0 to 100 under a name that is no setting's, and something that says scores.

        That is a distribution or scores of alignment beside them, an object of scores, a word such as REFUSAL among
        them, or the name of a trait.
        """
        has_scores = bool(self.scores)
        for name, ours in list(self.left.items()):
            is_held = name in self.inner and bool(OUTER & {*ours.split(".")[:-1]})
            topic = ours.rpartition(".")[2] if is_held else ours
            if ours in self.distributions or (
                (is_held or name not in self.inner) and self._is_topic(name, topic, is_sure=is_held or has_scores)
            ):
                self.scores.setdefault(topic if topic in self.distributions else topic.removesuffix("_score"), name)
                self.left.pop(name)

    def _is_topic(self, name: str, topic: str, *, is_sure: bool) -> bool:
        if topic == NEVER or _NEVER_SCORES.search(topic) or not _is_score(name, self.sample):
            return False
        if name not in self.inner and _SETTINGS.search(topic):
            return False
        if not is_sure and {read_number(value) for value in self._values(name)} == {0.0, 1.0}:
            return False  # no or yes
        return is_sure or bool(_TRAITS.search(topic)) or any(map(_is_label, self._values(name)))

    def found(self) -> tuple[tuple[GradeColumns, ...], tuple[GradeColumns, ...]]:
        """Verdicts and scores."""
        scores = dict.fromkeys((*self.scores, *self.distributions))
        return (
            tuple(self._graded(grader, self.verdicts) for grader in self.verdicts),
            tuple(self._graded(grader, self.scores) for grader in scores),
        )

    def _graded(self, grader: str, values: Mapping[str, str]) -> GradeColumns:
        return GradeColumns(
            grader=grader,
            value=values.get(grader),
            distribution=self.distributions.get(grader),
            label=self.labels.get(grader),
            judge=self.judges.get(grader),
            is_flag=grader in self.flags and values is self.verdicts,
        )


def _word(value: object) -> str | None:
    """The label in a cell, in the form that definitions read; None for a number or a text."""
    if read_number(value) is not None:
        return None
    try:
        return read_label(value)
    except BadCellError:
        return None


def holds_objects(name: str, sample: Sequence[TableRow]) -> bool:
    """Whether a column holds objects, whose parts have names of their own, and nothing else."""
    values = [value for row in sample if not is_missing(value := row.cells.get(name))]
    return bool(values) and all(isinstance(value, dict) for value in values)


def _judged(ours: str, graders: Sequence[str]) -> str | None:
    """Which grader a column `judge_X` belongs to, when there is one of that name."""
    for pattern in _DISTRIBUTION:
        if (found := pattern.match(ours)) is not None and found[1] in graders:
            return found[1]
    return None


def _stripped(ours: str) -> str:
    found = next((found[1] for pattern in _DISTRIBUTION if (found := pattern.match(ours))), ours)
    return next((grader for grader, usual in SCORES.items() if found in usual), found)


def _holds_distributions(name: str, sample: Sequence[TableRow]) -> bool:
    """Whether its first value looks like {token: probability}: all of it is read and checked later."""
    if not any(pattern.match(plain(name)) for pattern in _DISTRIBUTION):
        return False
    values = (row.cells.get(name) for row in sample)
    there = next((value for value in values if not is_missing(value)), None)
    if isinstance(there, dict):
        return bool(there) and all(isinstance(share, int | float) for share in there.values())
    return isinstance(there, list) or (isinstance(there, str) and there.lstrip().startswith(("{", "[")))


def _is_score(name: str, sample: Sequence[TableRow]) -> bool:
    values = [value for row in sample if not is_missing(value := row.cells.get(name))]
    if not values or any(isinstance(value, dict | list) for value in values):
        return False
    numbers = [found for value in values if (found := read_number(value)) is not None]
    others = [value for value in values if read_number(value) is None]
    return bool(numbers) and all(0 <= number <= 100 for number in numbers) and all(map(_is_label, others))


def _is_label(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_LABEL and value.strip().upper() in SCORE_LABELS


# Scales of graders: as the user says, with problems for values outside of them and for values of another scale.


EVERY = ""  # stands for every grader that has a scale
FEW = 5  # scores below which nothing is told from them but fractions of 1
_WRITTEN = re.compile(r"(?:([\w.@-]+)=)?(?:(-?\d+(?:\.\d+)?)(?:-|\.\.))?(-?\d+(?:\.\d+)?)")


class GradeScale(NamedTuple):
    """The lowest and the highest score."""

    low: float
    high: float

    def holds(self, score: float) -> bool:
        """Whether a score can be of this scale."""
        return self.low <= score <= self.high

    def words(self) -> str:
        """`0 to 100`."""
        return f"{self.low:g} to {self.high:g}"

    def flag(self) -> str:
        """`1-5`, or `1` for 0 to 1."""
        return f"{self.high:g}" if self.low == 0 else f"{self.low:g}-{self.high:g}"


PERCENT, GRADES = GradeScale(0, 100), GradeScale(1, 5)


@dataclass(frozen=True, slots=True)
class Scales:
    """What the user says of scales: by grader, or for all that have one."""

    given: Mapping[str, GradeScale] = field(default_factory=dict)
    bad_end: BadEnd | None = None  # of the verdict on misalignment

    def of(self, grader: str, own: GradeScale) -> GradeScale:
        """The scale on which a file counts."""
        return self.given.get(grader) or self.given.get(EVERY) or own

    def is_given(self, grader: str) -> bool:
        """Whether the user has said it."""
        return grader in self.given or EVERY in self.given

    def converted(self, grader: str, score: float, column: str = "", written: object = None) -> float:
        """A score on the grader's own scale. Raises BadCellError for one outside the file's; `written`: its cell."""
        own = GRADES if grader == VERDICT else PERCENT
        file = self.of(grader, own)
        if not file.holds(score):
            place = f"column `{column}`" if column else f"`{grader}`"
            kind = "grade" if grader == VERDICT else "score"
            other = f", or --map NAME={column} for another scale" if column else ""
            if grader == VERDICT and score in {0, 1} and column:
                other = f"; if it says no or yes: --map misaligned={column}"
            fix = f"Empty the cell where there is no score; name another scale with --scale {grader}=LOW-HIGH{other}"
            seen = f"{score:g}" if written is None else shown_value(written)
            raise BadCellError(f"{place}: {seen} is no {kind} from {file.words()}", fix)
        if grader == VERDICT and self.bad_end == "low":
            score = file.low + file.high - score
        return score if file == own else own.low + (score - file.low) / (file.high - file.low) * (own.high - own.low)

    def checked(self, found: ImportedGrade) -> ImportedGrade:
        """A grade of a log or an export on its grader's own scale; others have none that is known here."""
        if found.score is None or found.grader not in {*SCORES, VERDICT}:
            return found
        return found._replace(score=self.converted(found.grader, found.score))


def parsed(written: Sequence[str]) -> dict[str, GradeScale]:
    """`--scale 1`, `--scale 1-5`, `--scale aligned=10`. Raises UsageError.

    >>> parsed(["1-5", "aligned=10"])
    {'': GradeScale(low=1.0, high=5.0), 'aligned': GradeScale(low=0.0, high=10.0)}
    """
    found: dict[str, GradeScale] = {}
    for item in written:
        made = _WRITTEN.fullmatch(item.strip())
        scale = GradeScale(float(made[2] or 0), float(made[3])) if made else GradeScale(0, 0)
        if made is None or not scale.low < scale.high:
            raise UsageError(f"--scale {item}: write HIGHEST or LOWEST-HIGHEST, such as 1 or 1-5, or GRADER=1-5")
        if (grader := made[1] or EVERY) in found:
            raise UsageError(f"--scale {item}: the scale of {grader or 'every grader'} is given already")
        found[grader] = scale
    return found


@dataclass(slots=True)
class Spread:
    """Which scores a grader gave, as far as that shows on which scale."""

    count: int = 0
    least: float = float("inf")
    most: float = float("-inf")
    _is_whole: bool = True  # whole and half numbers, as people and rubrics give
    _is_of_fives: bool = True
    _is_of_one: bool = False  # a part of 1

    def add(self, score: float) -> None:
        """Note one score."""
        self.count += 1
        self.least, self.most = min(self.least, score), max(self.most, score)
        self._is_whole &= (2 * score) % 1 == 0
        self._is_of_fives &= score % 5 == 0
        self._is_of_one |= 0 < score < 1

    def looks_like(self, *, is_sure: bool = False) -> GradeScale | None:
        """The scale that the scores read like where it is not 0 to 100; None where they may be of that one.

        `is_sure`: another grader of the file counts on a small scale.
        """
        if not 0 <= self.least <= self.most <= 10 or self.most == 0:
            return None
        if self.most <= 1:
            return GradeScale(0, 1) if self._is_of_one or self.count >= FEW or is_sure else None
        is_same = self.least in {0, self.most} and self._is_of_fives
        if not is_sure and (self.count < FEW or is_same or (not self._is_whole and self.least < 1)):
            return None
        return GradeScale(1 if self.least >= 1 else 0, next(high for high in (3, 4, 5, 7, 10) if self.most <= high))
