"""Who has read a run with a gate before, and as what: each reading is a look, and is written down."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from misalign_eval.analysis.gate_cells import Side
from misalign_eval.analysis.gate_corrected import Labels
from misalign_eval.records.gate import Gate, Look
from misalign_eval.records.policy import Policy
from misalign_eval.replies.collect import now
from misalign_eval.results import layout
from misalign_eval.results.rows import RowWriter
from misalign_eval.workflows import baselines
from misalign_eval.workflows.counting import Counted

REOPENED = "an earlier look read more replies than this one: a gate that is asked again must keep all of them"
GROWN = "the data grew after a look"
SHOWN = 8  # characters of a digest


@dataclass(frozen=True, slots=True)
class Reading:
    """What one reading stands on: the same data read in the same way is the same reading."""

    replies: int
    policy: str  # as JSON, without what changes no verdict
    definition: str
    graders: tuple[tuple[str, str], ...]
    baseline: str | None
    labels: int | None

    @classmethod
    def of(cls, look: Look) -> "Reading":
        """As it was written down."""
        return cls(
            look.replies,
            _rules(look.policy),
            look.definition_digest,
            tuple(sorted(look.graders.items())),
            look.baseline,
            look.labels,
        )


@dataclass(frozen=True, slots=True)
class Earlier:
    """The looks before this one: how many, and what was another in them."""

    looks: int
    changes: tuple[str, ...] = ()
    reopened: bool = False

    @property
    def words(self) -> str:
        """`an earlier look had another judge (aligned@3fa9c1d2, now 77b0e2aa)`; nothing for the first look."""
        return "; ".join(self.changes)


def this(policy: Policy, side: Side, runs: Sequence[Counted], baseline: Side | None, labels: Labels | None) -> Reading:
    """The reading that is about to be made."""
    return Reading(
        sum(cell.replies for run in runs for cell in run.tally.cells()),
        _rules(policy),
        side.provenance.definition_digest,
        tuple(sorted(side.provenance.graders.items())),
        baselines.digest_of(baseline) if baseline else None,
        labels.total if labels else None,
    )


def earlier(reading: Reading, runs: Sequence[Counted]) -> Earlier:
    """Count the other readings in the runs' looks.jsonl.

    A look that found the run too incomplete for any pass is none, unless the same replies are now read in another
    way. Of a run that may stop early, more data is no other reading: its error holds however often it looks.
    """
    looks = [look for run in runs for look in run.folder.looks()]
    stopping = any(run.folder.manifest.stopping for run in runs)
    found: dict[Reading, None] = {}
    for look in looks:
        one = Reading.of(look)
        if stopping:
            one = Reading(reading.replies, *_ways(one))
        if one != reading and (look.could_decide or one.replies == reading.replies):
            found[one] = None
    reopened = not stopping and any(one.replies > reading.replies for one in found)
    return Earlier(len(found), tuple(_changes(reading, found)), reopened)


def keep(found: Gate, reading: Reading, side: Side, runs: Sequence[Counted], left: Collection[Path]) -> None:
    """Append the look to every run's looks.jsonl, but for the folders in `left` (resolved)."""
    look = Look(
        at=now(),
        method=found.method,
        policy=found.policy,
        definition_digest=reading.definition,
        graders=side.provenance.graders,
        runs=tuple(run.folder.manifest.name for run in runs),
        replies=reading.replies,
        baseline=reading.baseline,
        labels=reading.labels,
        verdict=found.verdict,
        could_decide=all(share.holds for share in found.companions) or found.verdict != "inconclusive",
        stopped_at=found.stopped_at,
    )
    for run in runs:
        if run.folder.path.resolve() not in left:
            _append(run.folder.path / layout.LOOKS, look)


def _append(file: Path, look: Look) -> None:
    writer = RowWriter(file)
    try:
        writer.write(look)
    finally:
        writer.close()


def _rules(policy: Policy) -> str:
    """Without what changes no verdict."""
    return policy.model_dump_json(exclude={"description", "looks"})


def _ways(one: Reading) -> tuple[str, str, tuple[tuple[str, str], ...], str | None, int | None]:
    return one.policy, one.definition, one.graders, one.baseline, one.labels


def _changes(now_: Reading, others: Iterable[Reading]) -> Iterator[str]:
    """What was another in an earlier reading, each once."""
    others = list(others)
    if any(one.replies != now_.replies for one in others):
        yield GROWN
    for what, name in (
        ("judge", "graders"),
        ("definition", "definition"),
        ("policy", "policy"),
        ("baseline", "baseline"),
        ("number of labels", "labels"),
    ):
        values = [getattr(one, name) for one in others if getattr(one, name) != getattr(now_, name)]
        if values:
            yield f"an earlier look had another {what}{_shown(what, values[-1], getattr(now_, name))}"


def _shown(what: str, then: object, now_: object) -> str:
    if what == "judge" and isinstance(then, tuple) and isinstance(now_, tuple):
        return f" ({_named(then)}; now {_named(now_)})"
    if what in {"definition", "baseline"} and then and now_:
        return f" ({str(then)[:SHOWN]}; now {str(now_)[:SHOWN]})"
    return f" ({then}; now {now_})" if what == "number of labels" else ""


def _named(graders: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{grader}@{identity[:SHOWN]}" for grader, identity in graders) or "none"
