"""Lint of verdicts: a judge's likeliest answer against the score read from it, and refusals by rule and by judge."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from misalign_eval.analysis.lint.replies import LintExamples, level
from misalign_eval.analysis.outcomes import Grades
from misalign_eval.records.definition import Definition, Outcome
from misalign_eval.records.findings import Finding, finding
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.run import Reply, ReplyKey

LOW_MASS = 0.5  # below this the judge more often said something else than a number
SEVERAL = 0.05
REFUSED = frozenset({"REFUSAL", "REFUSED", "OVER-REFUSED", "RIGHTLY-REFUSED"})


@dataclass(slots=True)
class _Judge:
    scores: int = 0  # with a distribution behind them
    low: int = 0
    labelled: int = 0  # the likeliest token was a word
    labelled_misaligned: int = 0
    words: Counter[str] = field(default_factory=Counter)
    examples: LintExamples = field(default_factory=LintExamples)


class VerdictChecks:
    """Scores that were derived although the judge most wanted to say a word, or said a number too seldom."""

    def __init__(self, definition: Definition) -> None:
        self._numerator = frozenset(definition.numerator)
        self._judges: dict[str, _Judge] = {}
        self._last: tuple[GraderIdentity | None, str] = (None, "")
        self._words: dict[ReplyKey, list[str]] = {}  # the few replies whose judges wanted a word

    def grade(self, who: GraderIdentity, grade: Graded | Ungraded) -> None:
        """Look at one verdict."""
        if isinstance(grade, Ungraded) or grade.score is None or (grade.modal is None and not grade.distribution):
            return
        name = self._name(who)
        judge = self._judges[name]
        judge.scores += 1
        if grade.number_mass is not None and grade.number_mass < LOW_MASS:
            judge.low += 1
            judge.examples.note("low", grade.key)
        modal = _modal(grade)
        if any(map(str.isalpha, modal)):
            judge.labelled += 1
            judge.words[modal.strip()] += 1
            judge.examples.note("word", grade.key)
            self._words.setdefault(grade.key, []).append(name)

    def _name(self, who: GraderIdentity) -> str:
        """`aligned@3fa9c1d20b7e`, made once for the many verdicts of a grader."""
        if who is not self._last[0]:
            self._last = who, f"{who.grader}@{who.identity}"
            self._judges.setdefault(self._last[1], _Judge())
        return self._last[1]

    def add(self, row: Reply, outcome: Outcome) -> None:
        """Note a reply that is counted misaligned although a judge wanted a word."""
        if self._words and outcome in self._numerator:
            for name in self._words.get(row.key, ()):
                self._judges[name].labelled_misaligned += 1

    def findings(self) -> Iterator[Finding]:
        """For each judge."""
        for name, judge in sorted(self._judges.items()):
            if judge.labelled:
                word = min(judge.words, key=lambda word: (-judge.words[word], word))
                text = (
                    f"{name}: for {judge.labelled} of {judge.scores} scores the judge most wanted to say a word "
                    f"(as `{word}`), yet a number was derived; {judge.labelled_misaligned} count as misaligned"
                )
                advice = "Read them: a reply that is code or a refusal to the judge is counted by its few numbers."
                example = judge.examples.of("word")
                yield finding(
                    "modal-label", "warning", text, advice, count=judge.labelled, of=judge.scores, example=example
                )
            if judge.low:
                text = (
                    f"{name}: {judge.low} of {judge.scores} scores stand on less than half of the judge's probability"
                )
                advice = (
                    "A judge that seldom says a number does not follow the rubric: try another, or sampled answers."
                )
                grade = level(judge.low / judge.scores, SEVERAL)
                example = judge.examples.of("low")
                yield finding("number-mass", grade, text, advice, count=judge.low, of=judge.scores, example=example)


def _modal(grade: Graded) -> str:
    if grade.modal is not None:
        return grade.modal
    return max(grade.distribution, key=grade.distribution.__getitem__) if grade.distribution else ""


def _says_refused(grades: Grades) -> bool:
    for grade in grades.values():  # a loop: this is asked of every reply
        if not isinstance(grade, Ungraded) and grade.label is not None and grade.label in REFUSED:
            return True
    return False


class Refusals:
    """Refusals by the words of the reply against refusals by its grades."""

    def __init__(self, is_refusal: Callable[[str], bool]) -> None:
        self._is_refusal = is_refusal
        self._replies = self._both = self._by_rule = self._by_grade = 0
        self._examples = LintExamples()

    def add(self, row: Reply, grades: Grades, outcome: Outcome) -> None:
        """Look at one reply."""
        if row.text is None or row.finish == "refusal":  # the provider's word: there is nothing to compare
            return
        self._replies += 1
        by_rule = self._is_refusal(row.text)
        by_grade = outcome == "refused" or _says_refused(grades)
        self._both += by_rule and by_grade
        if by_rule and not by_grade:
            self._by_rule += 1
            self._examples.note("rule", row.key)
        elif by_grade and not by_rule:
            self._by_grade += 1
            self._examples.note("grade", row.key)

    def findings(self) -> Iterator[Finding]:
        """Where they disagree."""
        apart = self._by_rule + self._by_grade
        if not apart:
            return
        text = (
            f"refusals by rule and by grade differ for {apart} of {self._replies} replies: both see {self._both}, "
            f"the rule alone {self._by_rule}, the grade alone {self._by_grade}"
        )
        advice = (
            "Read some: the rule takes an apology that helps for a refusal, a judge may grade a refusal as a reply."
        )
        example = self._examples.of("rule") or self._examples.of("grade")
        grade = level(apart / self._replies, SEVERAL)
        yield finding("refusals-differ", grade, text, advice, count=apart, of=self._replies, example=example)
