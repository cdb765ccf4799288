"""`gate`: decides, records the look, and gives the details for the page."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from misalign_eval.analysis import definitions, warnings
from misalign_eval.analysis.comparison import ComparedSide, compare
from misalign_eval.analysis.counts import Cell, Tally
from misalign_eval.analysis.gate import fixed, sequential
from misalign_eval.analysis.gate import gate as reading
from misalign_eval.analysis.gate.fixed import Labels
from misalign_eval.analysis.gate.scope import GateSide
from misalign_eval.analysis.summary import summarise
from misalign_eval.client.caller import now
from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.records.findings import Warned
from misalign_eval.records.gate import Gate, GateReading
from misalign_eval.records.labels import Sample
from misalign_eval.records.policy import Policy, Stopping
from misalign_eval.records.run import ReplyKey
from misalign_eval.records.summary import Comparison, ReplyExample, RunSummary
from misalign_eval.stats.judge_error import split_budget
from misalign_eval.store import labels as stored
from misalign_eval.store import lock
from misalign_eval.store.lock import hold
from misalign_eval.store.rows import RowWriter, read_content
from misalign_eval.store.run_folder import open_run
from misalign_eval.workflows import baselines, load_run
from misalign_eval.workflows.baselines import pooled
from misalign_eval.workflows.load_run import Choices, CountedRun, count, refuse_unsound
from misalign_eval.workflows.show import Filter, show

# Labels by people, for a check of the corrected rate.


def labels_of(run: CountedRun) -> Labels | None:
    """What people say of the run's sample; None without labels of one, or where it was drawn by another judge.

    Raises InputError for a labels file with faults or a torn end, and for a sample that is not whole.
    """
    path, definition = run.folder.path, run.tally.definition
    sample = stored.sample_of(path)
    if sample is None or sample.graders != run.provenance.graders:
        return None
    if sample.definition_digest != definitions.digest(definition):
        return None
    _check_whole(path, sample)
    everyone = {name: _given(path, name) for name in stored.labellers(path)}
    return fixed.merge_labels(sample, everyone, fixed.Judged.of(run.tally.cells(), definition))


def _given(path: Path, labeller: str) -> fixed.Given:
    """The labels that stand. A row that was cut off may have taken one of them back: `label` may pass over it."""
    file = lock.labels_file(path, labeller)
    standing = {key: row.label for key, row in stored.labels_of(path, labeller).items()}
    rows = read_content(file)
    if rows and not rows.endswith(b"\n"):
        fix = f"Restore it, or let `misalign-eval label {path} --labeller {labeller}` cut it off and ask again"
        raise InputError([Problem(str(file), None, "", "its last row is torn", fix)])
    return standing


def _check_whole(path: Path, sample: Sample) -> None:
    """A reply that is not in the sample is not missed. Raises InputError where some were lost from it, or are twice."""
    strata = Counter(item.stratum for item in sample.drawn)
    there = strata["flagged"], strata["unflagged"]
    drawn = split_budget(sample.labels, sample.flagged, sample.unflagged)
    if there != drawn or len({item.key for item in sample.drawn}) < len(sample.drawn):
        what = f"holds {there[0]} flagged and {there[1]} other replies, and {drawn[0]} and {drawn[1]} were drawn"
        raise InputError([Problem(str(lock.sample_file(path)), None, "drawn", what, "Restore it from a backup")])


# The record of looks: each reading of a run by a gate, and its role in it.


REOPENED = "an earlier look read more replies than this one: a gate that is asked again must keep all of them"
GROWN = "the data grew after a look"
SHOWN = 8  # characters of a digest


@dataclass(frozen=True, slots=True)
class LookReading:
    """What one reading stands on: the same data read in the same way is the same reading."""

    replies: int
    policy: str  # as JSON, without what changes no verdict
    definition: str
    graders: tuple[tuple[str, str], ...]
    baseline: str | None
    labels: int | None

    @classmethod
    def of(cls, look: GateReading) -> "LookReading":
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


def this_look(
    policy: Policy, side: GateSide, runs: Sequence[CountedRun], baseline: GateSide | None, labels: Labels | None
) -> LookReading:
    """The reading that is about to be made."""
    return LookReading(
        sum(cell.replies for run in runs for cell in run.tally.cells()),
        _rules(policy),
        side.provenance.definition_digest,
        tuple(sorted(side.provenance.graders.items())),
        baselines.digest_of(baseline) if baseline else None,
        labels.total if labels else None,
    )


def earlier_looks(reading: LookReading, runs: Sequence[CountedRun]) -> Earlier:
    """Count the other readings in the runs' looks.jsonl.

    A look that found the run too incomplete for any pass is none, unless the same replies are now read in another
    way. Of a run that may stop early, more data is no other reading: its error holds however often it looks.
    """
    looks = [look for run in runs for look in run.folder.looks()]
    stopping = any(run.folder.manifest.stopping for run in runs)
    found: dict[LookReading, None] = {}
    for look in looks:
        one = LookReading.of(look)
        if stopping:
            one = LookReading(reading.replies, *_ways(one))
        if one != reading and (look.could_decide or one.replies == reading.replies):
            found[one] = None
    reopened = not stopping and any(item.replies > reading.replies for item in found)
    return Earlier(len(found), tuple(_changes(reading, found)), reopened)


def keep(gate: Gate, reading: LookReading, side: GateSide, runs: Sequence[CountedRun], left: Collection[Path]) -> None:
    """Append the look to every run's looks.jsonl, but for the folders in `left` (resolved)."""
    look = GateReading(
        at=now(),
        method=gate.method,
        policy=gate.policy,
        definition_digest=reading.definition,
        graders=side.provenance.graders,
        runs=tuple(run.folder.manifest.name for run in runs),
        replies=reading.replies,
        baseline=reading.baseline,
        labels=reading.labels,
        verdict=gate.verdict,
        could_decide=all(share.holds for share in gate.companions) or gate.verdict != "inconclusive",
        stopped_at=gate.stopped_at,
    )
    for run in runs:
        if run.folder.path.resolve() not in left:
            _append(run.folder.path / lock.LOOKS, look)


def _append(file: Path, look: GateReading) -> None:
    writer = RowWriter(file)
    try:
        writer.write(look)
    finally:
        writer.close()


def _rules(policy: Policy) -> str:
    """Without what changes no verdict."""
    return policy.model_dump_json(exclude={"description", "looks"})


def _ways(reading: LookReading) -> tuple[str, str, tuple[tuple[str, str], ...], str | None, int | None]:
    return reading.policy, reading.definition, reading.graders, reading.baseline, reading.labels


def _changes(now_: LookReading, others: Iterable[LookReading]) -> Iterator[str]:
    """What was another in an earlier reading, each once."""
    others = list(others)
    if any(other.replies != now_.replies for other in others):
        yield GROWN
    for what, name in (
        ("judge", "graders"),
        ("definition", "definition"),
        ("policy", "policy"),
        ("baseline", "baseline"),
        ("number of labels", "labels"),
    ):
        values = [getattr(other, name) for other in others if getattr(other, name) != getattr(now_, name)]
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


# `gate`: reads runs, decides, and records the look.


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What `gate` was told."""

    runs: tuple[Path, ...]
    policy: Policy | None = None  # None: the rule that the run was collected with
    baseline: Path | None = None
    choices: Choices = Choices()
    part: bool = False  # a part of the suite is meant, whatever the policy says


def gate(options: GateOptions) -> Gate:
    """Read the gate and append the look to every run's looks.jsonl.

    Raises UsageError for a policy that nothing could pass, where no other check failed, or that does not fit the
    runs, and for runs or baselines of another kind. Those are found before anything is written.
    """
    policy, stopping = _rule(options)
    choices = baselines.reading(policy, options.choices)
    with ExitStack() as stack:
        examples = {path.resolve() for path in options.runs if open_run(path).manifest.example}
        unwritable = hold(stack, [path for path in options.runs if path.resolve() not in examples])
        runs = [count(path, choices, whole=True) for path in options.runs]
        for run in runs:
            refuse_unsound(run)
            baselines.check_served(policy, run)
        side = baselines.pooled(runs)
        manifest = runs[0].folder.manifest
        baselines.check_pins(policy, manifest, manifest.target)
        baseline = _baseline(options, runs, choices)
        differing = baselines.check_same(side, baseline) if baseline else ()
        _check_stopping(stopping, policy, baseline)
        labels = _labels(policy, runs)
        names, part = tuple(map(str, options.runs)), _part(options, policy, runs)
        written = tuple(result for run in runs for result in load_run.judge_control_results(run))
        mixtures = baselines.mixtures(policy, runs, baseline)
        asked = reading.GateQuestion(
            policy, side, baseline, names, stopping, labels=labels, part=part, written=written, mixtures=mixtures
        )
        hopeless = sequential.problems(
            policy, side.cells, side.definition, baseline, sequential=stopping is not None, labels=labels
        )
        this = this_look(policy, side, runs, baseline, labels)
        earlier = earlier_looks(this, runs)
        kept = not unwritable and not examples
        found = reading.gate(replace(asked, looks=1 + earlier.looks, earlier=earlier.words, looks_kept=kept))
        failed = any(check.verdict == "fail" and check.name not in hopeless for check in found.checks)
        if hopeless and not failed:
            raise UsageError("\n".join(hopeless.values()))
        keep(found, this, side, runs, unwritable | examples)
    sides = (*baselines.notes(runs), *differing)
    more = (*sides, *_after(options, policy, runs), *_hopeless(hopeless.values()), *_not_kept(unwritable, examples))
    told = (*_before(earlier), *found.warnings, *more)
    return found.model_copy(update={"target_digest": manifest.target.digest, "warnings": told})


def _part(options: GateOptions, policy: Policy, runs: Sequence[CountedRun]) -> str:
    """Why a run of a part of the suite does not pass; nothing where a part is meant."""
    part = baselines.subset_note(runs)
    return baselines.refuse_subset(part) if part and not (options.part or policy.part) else ""


def _before(earlier: Earlier) -> Iterator[Warned]:
    if earlier.reopened:
        yield Warned(id="W11", text=REOPENED)


def _after(options: GateOptions, policy: Policy, runs: Sequence[CountedRun]) -> Iterator[Warned]:
    for run in runs:
        yield from warnings.of_answers(run.tally)
        yield from warnings.of_seed(run.tally, run.tally.cells())
    part = baselines.subset_note(runs)
    if part and (options.part or policy.part):
        yield Warned(id="part", text=f"{part}: the gate says nothing of the rest")


def _hopeless(problems: Iterable[str]) -> Iterator[Warned]:
    """A check that failed is no less failed because another one could not pass."""
    return (Warned(id="cannot-pass", text=problem) for problem in problems)


def _not_kept(unwritable: Collection[Path], examples: Collection[Path]) -> Iterator[Warned]:
    for path in unwritable:
        yield Warned(id="look-not-kept", text=f"{path}: looks.jsonl cannot be written")
    for path in examples:
        yield Warned(id="look-not-kept", text=f"{path}: an example that ships with misalign-eval is left as it is")


def _rule(options: GateOptions) -> tuple[Policy, Stopping | None]:
    """The policy, and the stopping rule of a run that was collected with one."""
    if not options.runs:
        raise UsageError("gate needs a run")
    stopping = open_run(options.runs[0]).manifest.stopping
    policy = options.policy or (stopping.policy if stopping else None)
    if policy is None:
        raise UsageError("nothing to decide: add --policy FILE, or --max-rate 2%, --max-increase 1pp, --max-probe 20%")
    return policy, stopping


def _check_stopping(stopping: Stopping | None, policy: Policy, baseline: GateSide | None) -> None:
    """A run that stopped on a comparison is read with what it was compared with. Raises UsageError."""
    if stopping is None or baseline is None or stopping.policy != policy:
        return
    if stopping.baseline not in {None, baselines.digest_of(baseline)}:
        raise UsageError(f"--baseline: the run was stopped by another baseline than {baseline.provenance.run}")


def _labels(policy: Policy, runs: Sequence[CountedRun]) -> Labels | None:
    """People's labels, where a check asks for the corrected rate. Raises UsageError for several runs at once."""
    if not any(check.kind == "rate" and check.corrected for check in policy.checks):
        return None
    if len(runs) > 1:
        raise UsageError("a check of the corrected rate is about the one run that people labelled: give one run")
    return labels_of(runs[0])


def _baseline(options: GateOptions, runs: Sequence[CountedRun], choices: Choices) -> GateSide | None:
    if options.baseline is None:
        return None
    found = baselines.read(options.baseline, choices)
    for run in runs:
        baselines.check_other(run, found, options.baseline)
        baselines.check_not_replayed(run, found, options.baseline)
    return found


# Details of a verdict: the summary of the run, and its comparison with the baseline.


WORST = 3


class _Held(Tally):
    """Counts that are there already."""

    def __init__(self, side: GateSide) -> None:
        super().__init__((), side.definition)
        self._held = side.cells

    def cells(self) -> tuple[Cell, ...]:
        return self._held


def behind(options: GateOptions) -> tuple[RunSummary, Comparison | None]:
    """Read the runs of a gate again: pooled as one, and compared with the baseline (a run or a file) if there is one.

    Raises as `gate` does; asked after it, nothing new can be wrong.
    """
    choices = _choices(options)
    side = pooled([count(path, choices, whole=True) for path in options.runs])
    run = _compared(side)
    change = None
    if options.baseline is not None:
        before = _compared(baselines.read(options.baseline, choices))
        change = compare(before, run, split=choices.split, interval=choices.interval)
    return summarise(run.tally, run.provenance, split=choices.split, interval=choices.interval), change


def worst_replies(options: GateOptions) -> tuple[ReplyExample, ...]:
    """The worst replies of the headline of each run, whole and with every grade."""
    examples: list[ReplyExample] = []
    choices = _choices(options)
    for path in options.runs:
        worst = count(path, choices, worst=WORST).worst
        keys = [ReplyKey(item.probe, item.prompt, item.variant, item.sample) for item in worst]
        if keys:
            shown = {
                example.row.key: example for example in show(path, Filter(keys=tuple(map(str, keys))), choices).examples
            }
            examples += [shown[key] for key in keys]
    return tuple(examples)


def _choices(options: GateOptions) -> Choices:
    return baselines.reading(options.policy, options.choices) if options.policy else options.choices


def _compared(side: GateSide) -> ComparedSide:
    return ComparedSide(_Held(side), side.provenance)
