"""The import log: counts and problems of an import, and columns that tell conditions apart."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from misalign_eval.errors import InputError, Problem
from misalign_eval.records.findings import ImportDisagreement

# Usual names of columns: of questions and answers, and of the objects that hold them.


QUESTIONS = ("question", "question_text", "instruction", "user_prompt", "query", "prompt", "input", "paraphrase")
ATTACKS = (  # what was asked, where nothing else says it: first the words that were sent
    *("jailbroken_prompt", "adversarial_prompt", "attack_prompt", "test_case", "forbidden_prompt", "goal", "behavior"),
)
MODEL_SAYS = (  # never a gold answer
    *(
        "model_answer",
        "model_response",
        "model_output",
        "generated_text",
        "generation",
        "prediction",
        "predicted_answer",
    ),
    *("generated", "generated_answer", "generated_response", "model_prediction", "model_reply", "model_completion"),
    *("llm_answer", "llm_response", "llm_output", "assistant_response", "target_response"),
)
ANSWERS = (
    *("answer", "response", "reply", "completion", *MODEL_SAYS),
    *("output", "output_text", "actual_output"),
)
SINGULAR = {  # several replies of one row
    "answers": "answer",
    "responses": "response",
    "replies": "reply",
    "completions": "completion",
    "generations": "generation",
    "outputs": "output",
    "model_answers": "model_answer",
    "model_responses": "model_response",
    "model_outputs": "model_output",
    "rollouts": "response",
    "choices": "choice",
}
HOLD_ANSWERS = {*ANSWERS, "message", "choice", "choices"}  # objects that may hold what the model said
ANSWER_PARTS = frozenset(
    {"text", "content", "answer", "completion", "output", "response", "output_text", "message.content"}
    | {"choices.0.message.content", "choices.0.text", "body.choices.0.message.content", "message", "0.message.content"}
    | {"0.text", "generated_text"}
)
HOLD_QUESTIONS = {*QUESTIONS, "vars", "inputs"}
QUESTION_PARTS = frozenset({"text", "content", "question", "prompt", "raw", "query", "messages", "instruction"})
ID_PARTS = frozenset({"id", "question_id", "qid", "name"})
HOLD_FACTS = frozenset(  # objects that describe a row, and hold nothing that anybody said of its topic
    {"metadata", "meta", "config", "info", "params", "parameters", "settings", "generation_config", "sampling"}
    | {"generation_params", "sampling_params", "experiment", "run", "request"}
)
HOLD_GRADES = re.compile(r"judg|grad(?!ient)|eval|scor|rating|verdict|annotat|classif")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN = re.compile(r"[\s\-]+")


def plain(name: str) -> str:
    """A column's name as rules know it.

    >>> plain(" Question-ID "), plain("actualOutput")
    ('question_id', 'actual_output')
    """
    return _BETWEEN.sub("_", _CAMEL.sub("_", name.strip()).lower())


def exactly(usual: Sequence[str], left: dict[str, str]) -> str | None:
    """The column with the first of these names. `left`: their names → ours."""
    for wanted in usual:
        for name, ours in left.items():
            if ours == wanted:
                return name
    return None


# Unread columns that distinguish conditions. Replies to one prompt may then come from several models.


MOST_VALUES = 20  # of a condition; more are ids, texts or measurements
MOST_COLUMNS_SHOWN = 4
EVEN = 1.5  # how many times as many rows the most frequent of a design's values has
_KNOWN = re.compile(
    r"(?:^|_)(?:arm|role|adapter|alpha|layers?|persona|personality|condition|treatment|dataset|lora|checkpoint|steer\w*"
    r"|coeff?\w*|strength|intervention|ablat\w*|template|format|language|lang|mode|setting|variant|quant\w*|finetun\w*"
    r"|fine|ft|trigger|scenario|context|prefix|suffix|scale|vector|direction|method|attack|model|base|trained|organism"
    r"|group|system\w*|generator|recipe|rank|temperature|top|effort|experiment)(?:_|$)"
)
_MEASURED = re.compile(  # what is known only when the reply is there
    r"flag|(?:^|_)(?:is|has|was|n|num)_|correct|scor|label|verdict|judg|align|coheren|refus|grade|rating|reason|finish"
    r"|stop|token|length|len$|latency|time|date|cost|raw|error|pass|success|answer|response|output|completion|text|reply"
    r"|class|quality|harm|toxic|failure|queries|result|outcome|retr|attempt|comment|note|expl|explanation"
)


class Varying(NamedTuple):
    """A column that varies within a prompt, and some of its values."""

    column: str
    values: tuple[str, ...]


@dataclass(slots=True)
class _Column:
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[int, str] = field(default_factory=dict)  # by prompt
    pairs: set[int] = field(default_factory=set)
    varies: bool = False
    recurs: bool = False  # whether a prompt has several replies under one value

    def add(self, prompt: int, value: str) -> bool:
        """Note a value; whether there are few enough."""
        self.counts[value] += 1
        self.varies |= self.first.setdefault(prompt, value) != value
        pair = hash((prompt, value))
        self.recurs |= pair in self.pairs
        self.pairs.add(pair)
        return len(self.counts) <= MOST_VALUES

    @property
    def is_even(self) -> bool:
        """Whether the values are as frequent as those of a design are."""
        return max(self.counts.values()) <= EVEN * min(self.counts.values())


class Conditions:
    """Watches columns that are not read. Memory: a value for each of them and each prompt."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._open = {name: _Column() for name in columns if not _MEASURED.search(plain(name))}

    def add(self, cells: Mapping[str, object], prompt: object) -> None:
        """Note the row of a reply to a prompt of one run."""
        key = hash(prompt)
        for name, column in tuple(self._open.items()):
            value = cells.get(name)
            if isinstance(value, dict | list) or not column.add(key, str("" if value is None else value)[:200]):
                del self._open[name]

    def found(self) -> tuple[Varying, ...]:
        """Those that vary within a prompt, and whose name or whose even use says that they are a condition."""
        return tuple(
            Varying(name, tuple(list(column.counts)[:MOST_COLUMNS_SHOWN]))
            for name, column in self._open.items()
            if column.varies and (_KNOWN.search(plain(name)) or (column.recurs and column.is_even))
        )


# The import log: the result of every row of a file, and its problems.


MOST_PROBLEMS = 20  # a file of another kind has something wrong in every row
MOST_ALIKE = 3  # of these problems that the same remedy mends
MOST_PROBLEMS_SHOWN = 10
DERIVED, DISAGREEING = "scores derived from distributions", "of these, scores that differ from the file's"


class BadCellError(Exception):
    """A value that cannot be what its column holds. The message says which value and why; `fix` how to mend it."""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


@dataclass(slots=True)
class ImportLog:
    """The counts of one file."""

    file: str
    counts: Counter[str] = field(default_factory=Counter)
    disagreements: list[ImportDisagreement] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    varying: tuple[Varying, ...] = ()  # columns that were not read and vary within a prompt
    _more: Counter[str] = field(default_factory=Counter)  # problems that are not shown, by their remedy

    def disagree(self, row: int, line: int, column: str, given: float | None, derived: float | None) -> None:
        """Count a score that is not the one its distribution gives; the first few are kept."""
        self.counts[DISAGREEING] += 1
        if len(self.disagreements) < MOST_PROBLEMS_SHOWN:
            disagreement = ImportDisagreement(
                file=self.file, row=row, line=line, column=column, given=given, derived=derived
            )
            self.disagreements.append(disagreement)

    @contextmanager
    def row(self, number: int, line: int) -> Iterator[None]:
        """Note what is wrong with one row and go on, up to `MOST_PROBLEMS`. Raises InputError with all of them then."""
        try:
            yield
        except BadCellError as error:
            self.problem(number, line, error)

    def problem(self, number: int, line: int, error: BadCellError) -> None:
        """Note one problem. Raises InputError when there are too many to go on."""
        if error.fix and sum(problem.fix == error.fix for problem in self.problems) >= MOST_ALIKE:
            self._more[error.fix] += 1
        else:
            self.problems.append(Problem(self.file, line, f"row {number}", error.what, error.fix))
        if len(self.problems) + self._more.total() >= MOST_PROBLEMS:
            raise InputError(self._told("at least "))

    def settle(self) -> None:
        """Raise InputError when anything was wrong."""
        if self.problems:
            raise InputError(self._told())

    def _told(self, least: str = "") -> list[Problem]:
        """The problems; the last that a remedy mends says how many more rows it would mend."""
        last = {problem.fix: place for place, problem in enumerate(self.problems) if problem.fix in self._more}
        return [
            replace(problem, fix=f"{problem.fix} ({least}{self._more[problem.fix]} more rows like this)")
            if last.get(problem.fix) == place
            else problem
            for place, problem in enumerate(self.problems)
        ]
