"""Who answered, and what of the settings it took."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from misalign_eval.analysis.lint.examples import Examples
from misalign_eval.analysis.tally import Cell
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.lint import Finding, Level, found
from misalign_eval.records.plan import PlannedPrompt, ReplyKey
from misalign_eval.records.reply import Reply

MOST = 1000  # names kept of a kind
NAMED = 5  # names told
_WORD = re.compile("word `[^`]*`")  # the embedded model names every word that it does not know


class Dropped:
    """Settings that the target did not take."""

    def __init__(self) -> None:
        self._replies = self._with = 0
        self._settings: Counter[str] = Counter()
        self._examples = Examples()

    def add(self, row: Reply, _: PlannedPrompt) -> None:
        """Count what one reply was made without."""
        self._replies += 1
        if row.dropped:
            self._with += 1
            self._examples.note("", row.key)
            for setting in (_WORD.sub("word", one) for one in row.dropped):
                if setting in self._settings or len(self._settings) < MOST:
                    self._settings[setting] += 1

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """The settings, the most frequent first."""
        if not self._with:
            return
        named = ", ".join(f"{name} ({count})" for name, count in _first(self._settings))
        text = f"the target did not take all settings for {self._with} of {self._replies} replies: {named}"
        advice = "Such replies were sampled otherwise than the run says; runs to compare should lack the same."
        level: Level = "warning"
        yield found(
            "settings-dropped", level, text, advice, count=self._with, of=self._replies, example=self._examples.of("")
        )


class DroppedByJudges:
    """Settings that a judge did not take: its verdicts were sampled otherwise than its grader says."""

    def __init__(self) -> None:
        self._verdicts = self._with = 0
        self._settings: Counter[str] = Counter()
        self._examples = Examples()

    def grade(self, who: GraderIdentity, grade: Graded | Ungraded) -> None:
        """Count what one verdict was made without."""
        self._verdicts += who.kind in ("judge", "ensemble")
        if grade.dropped:
            self._with += 1
            self._examples.note("", grade.key)
            for setting in grade.dropped:
                if setting in self._settings or len(self._settings) < MOST:
                    self._settings[setting] += 1

    def findings(self) -> Iterator[Finding]:
        """The settings, the most frequent first."""
        if self._with:
            named = ", ".join(f"{name} ({count})" for name, count in _first(self._settings))
            text = f"the judge did not take all settings for {self._with} of {self._verdicts} verdicts: {named}"
            advice = "Its answers vary more or less than its grader says; runs to compare should have the same judge."
            example, count = self._examples.of(""), self._with
            yield found("judge-settings-dropped", "note", text, advice, count=count, of=self._verdicts, example=example)


class Streamed:
    """Answers of one target that came in two ways: some servers do not answer alike in both."""

    def __init__(self) -> None:
        self._replies = self._count = 0
        self._examples = Examples()

    def add(self, row: Reply, _: PlannedPrompt) -> None:
        """Count how one reply came."""
        self._replies += 1
        if row.streamed:
            self._count += 1
            self._examples.note("", row.key)

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """Said only where both happened."""
        if 0 < self._count < self._replies:
            text = f"{self._count} of {self._replies} replies came as a stream of events, the others whole"
            advice = "Some servers parse or filter the two differently: compare both parts."
            example = self._examples.of("")
            yield found("streamed", "note", text, advice, count=self._count, of=self._replies, example=example)


class Servers:
    """Several models, systems or upstreams under one name."""

    ABOUT: tuple[tuple[str, Level, str], ...] = (
        ("several-models", "warning", "models answered under one name"),
        ("several-fingerprints", "note", "system fingerprints answered"),
        ("several-routes", "warning", "upstreams answered"),
    )

    def __init__(self) -> None:
        self._seen: Counter[tuple[str | None, ...]] = Counter()
        self._least: dict[tuple[str | None, ...], ReplyKey] = {}

    def add(self, row: Reply, _: PlannedPrompt) -> None:
        """Count who gave one reply."""
        who = (row.model, row.fingerprint, row.route)
        key = self._least.get(who)
        if key is None and len(self._least) >= MOST:
            return
        self._least[who] = row.key if key is None else min(key, row.key)
        self._seen[who] += 1

    def findings(self, _: Sequence[Cell]) -> Iterator[Finding]:
        """Each kind of which there are several."""
        for place, (identity, level, words) in enumerate(self.ABOUT):
            names: Counter[str] = Counter()
            for who, count in self._seen.items():
                if (name := who[place]) is not None:
                    names[name] += count
            if len(names) < 2:
                continue
            named = ", ".join(f"{name} ({count})" for name, count in _first(names))
            advice = "The target changed in mid-run, or a router chose: pin it, or report the parts apart."
            total, text = names.total(), f"{len(names)} {words}: {named}"
            example = self._example(place, min(names, key=lambda name: (names[name], name)))
            yield found(identity, level, text, advice, count=total - max(names.values()), of=total, example=example)

    def _example(self, place: int, name: str) -> str:
        return str(min(key for who, key in self._least.items() if who[place] == name))


def _first(names: "Counter[str]") -> list[tuple[str, int]]:
    return sorted(names.items(), key=lambda one: (-one[1], one[0]))[:NAMED]
