"""`gate`: read runs, decide, and write down that somebody has looked."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from misalign_eval.analysis import gate as reading
from misalign_eval.analysis import gate_hopeless, warnings
from misalign_eval.analysis.gate_cells import Side
from misalign_eval.analysis.gate_corrected import Labels
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import Warned
from misalign_eval.records.gate import Gate, Look, Stopping
from misalign_eval.records.policy import Policy
from misalign_eval.replies.collect import now
from misalign_eval.results import layout
from misalign_eval.results.folder import RunFolder, open_run
from misalign_eval.results.lock import hold
from misalign_eval.results.rows import RowWriter
from misalign_eval.workflows import baselines, parts, policies
from misalign_eval.workflows.counting import Choices, Counted, count, refuse_contradictions
from misalign_eval.workflows.judging import gate_labels
from misalign_eval.workflows.pooling import pooled


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

    Raises UsageError for a policy that nothing could pass or that does not fit the runs, and for runs or baselines of
    another kind. Those are found before anything is written.
    """
    policy, stopping = _rule(options)
    choices = policies.reading(policy, options.choices)
    with ExitStack() as stack:
        unwritable = hold(stack, options.runs)
        runs = [count(path, choices, whole=True) for path in options.runs]
        for run in runs:
            refuse_contradictions(run.folder)
            policies.check_served(policy, run)
        side = pooled(runs)
        baseline = _baseline(options, runs, side, choices)
        _check_stopping(stopping, policy, baseline)
        gate_hopeless.refuse(
            policy,
            side.cells,
            side.definition,
            baseline,
            sequential=stopping is not None,
            labels=(labels := _labels(policy, runs)),
        )
        earlier, notes = _earlier(runs)
        names = tuple(str(path) for path in options.runs)
        part, meant = parts.words(runs), options.part or policy.part
        asked = reading.Question(
            policy, side, baseline, names, stopping, 1 + earlier, labels, "" if meant else part and parts.refused(part)
        )
        found = reading.gate(asked)
        told = [Warned(id="part", text=f"{part}: the gate says nothing of the rest")] if part and meant else []
        served = [one for run in runs for one in warnings.of_answers(run.tally)]
        found = found.model_copy(update={"warnings": (*notes, *served, *found.warnings, *told)})
        look = _look(policy, found, runs, side, baseline)
        for run in runs:
            if run.folder.path.resolve() not in unwritable:
                _append(run.folder, look)
    more = [Warned(id="look-not-kept", text=f"{path}: looks.jsonl cannot be written") for path in unwritable]
    return found.model_copy(update={"warnings": (*found.warnings, *more)})


def _rule(options: GateOptions) -> tuple[Policy, Stopping | None]:
    """The policy, and the stopping rule of a run that was collected with one."""
    if not options.runs:
        raise UsageError("gate needs a run")
    stopping = open_run(options.runs[0]).manifest.stopping
    policy = options.policy or (stopping.policy if stopping else None)
    if policy is None:
        raise UsageError("nothing to decide: add --policy FILE, or --max-rate 2%, --max-increase 1pp, --max-probe 20%")
    return policy, stopping


def _check_stopping(stopping: Stopping | None, policy: Policy, baseline: Side | None) -> None:
    """A run that stopped on a comparison is read with what it was compared with. Raises UsageError."""
    if stopping is None or baseline is None or stopping.policy != policy:
        return
    if stopping.baseline not in {None, baselines.digest_of(baseline)}:
        raise UsageError(f"--baseline: the run was stopped by another baseline than {baseline.provenance.run}")


def _labels(policy: Policy, runs: Sequence[Counted]) -> Labels | None:
    """People's labels, where a check asks for the corrected rate. Raises UsageError for several runs at once."""
    if not any(check.kind == "rate" and check.corrected for check in policy.checks):
        return None
    if len(runs) > 1:
        raise UsageError("a check of the corrected rate is about the one run that people labelled: give one run")
    return gate_labels.labels_of(runs[0])


def _baseline(options: GateOptions, runs: Sequence[Counted], run: Side, choices: Choices) -> Side | None:
    if options.baseline is None:
        return None
    found = baselines.read(options.baseline, choices)
    for one in runs:
        baselines.check_other(one, found, options.baseline)
    baselines.check_same(run, found)
    return found


def _earlier(runs: Sequence[Counted]) -> tuple[int, list[Warned]]:
    """How many earlier looks at other data could have decided; and whether data that was looked at is missing now."""
    replies = _replies(runs)
    looks = [look for run in runs for look in run.folder.looks() if look.method == "fixed" and look.could_decide]
    if any(run.folder.manifest.stopping for run in runs):
        return 0, []
    others = {look.replies for look in looks if look.replies != replies}
    notes = []
    if any(look.replies > replies for look in looks):
        text = "an earlier look read more replies than this one: a gate that is asked again must keep all of them"
        notes.append(Warned(id="W11", text=text))
    return len(others), notes


def _replies(runs: Sequence[Counted]) -> int:
    return sum(cell.replies for run in runs for cell in run.tally.cells())


def _look(policy: Policy, found: Gate, runs: Sequence[Counted], side: Side, baseline: Side | None) -> Look:
    return Look(
        at=now(),
        method=found.method,
        policy=policy,
        definition_digest=side.provenance.definition_digest,
        graders=side.provenance.graders,
        runs=tuple(run.folder.manifest.name for run in runs),
        replies=_replies(runs),
        baseline=baselines.digest_of(baseline) if baseline else None,
        verdict=found.verdict,
        could_decide=all(share.holds for share in found.companions) or found.verdict != "inconclusive",
        stopped_at=found.stopped_at,
    )


def _append(folder: RunFolder, look: Look) -> None:
    writer = RowWriter(folder.path / layout.LOOKS)
    try:
        writer.write(look)
    finally:
        writer.close()
