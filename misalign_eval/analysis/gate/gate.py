"""A gate reading: the results of all checks, the guardrails that limit a pass, and the combined verdict."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from misalign_eval.analysis import estimates, warnings
from misalign_eval.analysis.counts import Cell, evident
from misalign_eval.analysis.gate.fixed import Labels, fixed
from misalign_eval.analysis.gate.messages import CORRECTED, JUDGED, RULED
from misalign_eval.analysis.gate.scope import (
    GateSide,
    baseline_cells,
    cells_of_check,
    companions,
    gathered,
    of_copies,
)
from misalign_eval.analysis.gate.sequential import SequentialGate
from misalign_eval.records.definition import OUTCOMES, Outcome
from misalign_eval.records.findings import Warned
from misalign_eval.records.gate import CheckResult, CompanionResult, ControlFound, Gate, Verdict
from misalign_eval.records.policy import NO_ANSWER, Check, OnInconclusive, Policy, Stopping
from misalign_eval.stats.gates import combined

REPLAYED = "replay/"
NEW_RUN = "a new run may see them answered (more --max-tokens, another server); `unknown:` in a policy leaves them out"


@dataclass(frozen=True, slots=True)
class GateQuestion:
    """What is gated, and what earlier readings of it are known."""

    policy: Policy
    run: GateSide
    baseline: GateSide | None = None
    names: tuple[str, ...] = ()
    stopping: Stopping | None = None  # of a run that was collected with early stopping
    looks: int = 1  # this one included
    earlier: str = ""  # what was another in the looks before
    written: tuple[ControlFound, ...] = ()  # replies that the suite wrote for its judge
    looks_kept: bool = True  # whether this look can be written down
    labels: Labels | None = None  # for checks of the corrected rate
    mixtures: tuple[str, ...] = ()  # whose answers came from several models, in words
    part: str = ""  # what of the suite the run asked, where that is not the whole and nobody said that a part is meant


def gate(asked: GateQuestion) -> Gate:
    """Read the gate. Raises UsageError for a policy that does not fit the run, or a baseline with other prompts."""
    return _fixed(asked) if asked.stopping is None else _sequential(asked, asked.stopping)


def exit_code(verdict: Verdict, on_inconclusive: OnInconclusive, *, graded: bool = True) -> int:
    """0 passed, 1 failed, 3 inconclusive unless the policy says otherwise. A check without a `graded` reply never is 0.

    >>> exit_code("inconclusive", 3), exit_code("inconclusive", "fail"), exit_code("inconclusive", "pass")
    (3, 1, 0)
    """
    if verdict == "inconclusive":
        accepted = 0 if graded else 3
        return {3: 3, "fail": 1, "pass": accepted}[on_inconclusive]
    return 0 if verdict == "pass" else 1


def _fixed(asked: GateQuestion) -> Gate:
    checks = fixed(asked.policy, asked.run, asked.baseline, looks=asked.looks, labels=asked.labels)
    cells = _cells(asked)
    shares = (
        *companions(asked.policy, asked.run.definition, cells, baseline_cells(asked.baseline, cells)),
        *_collected(asked.run.cells),
        *map(of_copies, filter(None, [evident(asked.run.cells)])),
        *_sound(asked),
    )
    verdict = combined(check.verdict for check in checks)
    return _gate(asked, _limited(verdict, shares), checks, shares, cells)


def _limited(verdict: Verdict, shares: Sequence[CompanionResult]) -> Verdict:
    return "inconclusive" if verdict == "pass" and not all(share.holds for share in shares) else verdict


def _sound(asked: GateQuestion) -> Iterator[CompanionResult]:
    """What must be so of the run as a whole, whichever cells the checks look at."""
    yield from estimates.control_results(asked.run.cells, asked.run.definition)
    yield from estimates.read(asked.written, asked.run.definition)
    yield from estimates.required_controls(asked.policy.controls, asked.run.cells, asked.written, asked.run.definition)
    if asked.policy.looks:
        yield _looked(asked, asked.policy.looks.most)
    for why in asked.mixtures:
        yield CompanionResult(name="models", share=None, most=None, holds=False, why=why)
    if asked.part:
        yield CompanionResult(name="part", share=None, most=None, holds=False, why=asked.part)


def _looked(asked: GateQuestion, most: int) -> CompanionResult:
    why = ""
    if asked.looks > most:
        allowed = "1 look" if most == 1 else f"{most} looks"
        why = f"looks: this is look {asked.looks} at the run, and the policy allows {allowed}: {asked.earlier}"
    elif not asked.looks_kept:
        why = "looks: the policy limits them, and looks.jsonl of this run is not written"
    return CompanionResult(name="looks", share=None, most=None, holds=not why, why=why)


def _sequential(asked: GateQuestion, stopping: Stopping) -> Gate:
    same_rule = stopping.policy == asked.policy
    # Another policy has not declared when it looks at the end, so it gets evidence alone.
    gate = SequentialGate(asked.policy, asked.run, asked.baseline, cap=stopping.cap if same_rule else None)
    planned = sum(cell.prompt.samples for cell in asked.run.cells)
    needed = sum(min(cell.prompt.samples, gate.samples) for cell in asked.run.cells)
    shares = (*gate.companions(), *(sound := tuple(_sound(asked))))
    gate_ = _gate(
        asked,
        _limited(gate.verdict or "inconclusive", sound),
        gate.results(),
        shares,
        gate.slots.cells(gate.samples),
    )
    stopped = gate.stopped_at if same_rule else None
    more = {"stopped_at": stopped, "not_needed": 0 if stopped is None else planned - needed}
    return gate_.model_copy(update={"method": "sequential", **more})


def _gate(
    asked: GateQuestion,
    verdict: Verdict,
    checks: tuple[CheckResult, ...],
    shares: tuple[CompanionResult, ...],
    cells: Sequence[Cell],
) -> Gate:
    policy = asked.policy
    measured = _measured(checks, judged=asked.run.provenance.judge is not None)
    return Gate(
        verdict=verdict,
        exit_code=exit_code(verdict, policy.on_inconclusive, graded=all(check.graded for check in checks)),
        on_inconclusive=policy.on_inconclusive,
        method="fixed",
        runs=asked.names or (asked.run.provenance.run,),
        baseline=asked.baseline.provenance.run if asked.baseline else None,
        measured=measured,
        looks=asked.looks,
        provenance=asked.run.provenance,
        policy=policy,
        checks=tuple(_told(result, check, asked, cells) for result, check in zip(checks, policy.checks, strict=True)),
        companions=shares,
        controls=asked.written,
        warnings=tuple(_warnings(asked, cells, judged=measured == JUDGED)),
    )


def _told(result: CheckResult, check: Check, asked: GateQuestion, cells: Sequence[Cell]) -> CheckResult:
    """The result with what its unknown replies were counted as, and which replies are in no rate."""
    keys = {cell.prompt.cell for cell in cells_of_check(check, asked.run.cells).cells}
    inside = [cell for cell in cells if cell.prompt.cell in keys]
    counting = asked.run.under(asked.policy).counting
    both = [*inside, *(baseline_cells(asked.baseline, inside) or () if check.kind == "difference" else ())]
    beside = [name for name in OUTCOMES if name not in (*counting.graded, *counting.unknown)]
    unknown = _counts(both, counting.unknown)
    settles = result.settles
    if settles and (kinds := [name for name in NO_ANSWER if name in unknown]):
        settles += f" Replies that came {' or '.join(kinds)} stay so: {NEW_RUN}."
    return result.model_copy(update={"unknown_as": unknown, "beside": _counts(inside, beside), "settles": settles})


def _counts(cells: Sequence[Cell], names: Sequence[Outcome]) -> dict[Outcome, int]:
    return {name: number for name in names if (number := sum(cell.count((name,)) for cell in cells))}


def _measured(checks: Sequence[CheckResult], *, judged: bool) -> str:
    if checks and all(check.labels is not None for check in checks):
        return CORRECTED
    return JUDGED if judged else RULED


def _cells(asked: GateQuestion) -> tuple[Cell, ...]:
    """Every cell that a check looks at, once."""
    found = {
        cell.prompt.cell: cell for check in asked.policy.checks for cell in cells_of_check(check, asked.run.cells).cells
    }
    return tuple(found.values())


def _collected(cells: Sequence[Cell]) -> Iterator[CompanionResult]:
    """A run that is not finished does not pass, not even on a part that is: what is absent can still be asked for."""
    planned = sum(cell.prompt.samples for cell in cells)
    absent = sum(cell.not_collected for cell in cells)
    words = ""
    if absent or not planned:
        some = f"{absent} of {planned} planned replies are not collected"
        words = f"{some}: the run is not finished (`run --resume` asks for them, `merge` adds a missing shard)"
    yield CompanionResult(
        name="not_collected", share=absent / planned if planned else 1.0, most=0.0, holds=not words, why=words
    )


def _warnings(asked: GateQuestion, cells: Sequence[Cell], *, judged: bool) -> Iterator[Warned]:
    if judged and (why := warnings.uncalibrated(asked.run.provenance.calibration)):
        who = asked.run.provenance.judge
        yield Warned(id="W9", text=f"this is the judge-labelled rate: the verdicts of {who} {why}")
    other = asked.baseline and asked.baseline.provenance
    if other and (other.target, other.labels) == (asked.run.provenance.target, asked.run.provenance.labels):
        yield Warned(
            id="same-target", text=f"run and baseline asked the same target, {other.target}: no fine-tune here?"
        )
    yield from _of_source(asked)
    if asked.looks > 1:
        yield Warned(
            id="W11",
            text=f"look {asked.looks} at this run: {asked.earlier or 'it was read before'}. "
            "The error is that of all looks together (`run --stop-when-decided` may look after every round)",
        )
    if asked.stopping is not None:
        yield Warned(id="stopped", text="collected with early stopping: the point estimate is selected by stopping")
    yield from warnings.of_cells(cells, asked.run.definition)
    yield from _of_choices(asked, cells)
    yield from gathered(asked.run.definition, cells, baseline_cells(asked.baseline, cells))
    yield from estimates.of_controls(asked.run.cells, asked.run.definition)


def _of_choices(asked: GateQuestion, cells: Sequence[Cell]) -> Iterator[Warned]:
    """What the policy counts more loosely than it would be."""
    if found := _counts(cells, asked.policy.unknown.as_defined):
        counts = ", ".join(f"{number} {name}" for name, number in found.items())
        named = f"definition {asked.run.definition.name}"
        text = f"{counts}: by policy such replies are not unknown, but counted as {named} has it"
        yield Warned(id="as-defined", text=text)


def _of_source(asked: GateQuestion) -> Iterator[Warned]:
    """Warnings about recorded answers, and about a run that began before its baseline."""
    run, base = asked.run.provenance, asked.baseline and asked.baseline.provenance
    if run.target.startswith(REPLAYED):
        yield Warned(id="replayed", text=f"{run.target} gives recorded answers again: no model was asked")
    began, before = (_moment(item.created) if item else None for item in (run, base))
    if began and before and began < before:
        text = (
            f"the run began before its baseline ({began:%F %T} and {before:%F %T} UTC): are they the right way round?"
        )
        yield Warned(id="older", text=text)


def _moment(text: str) -> datetime | None:
    """A time of a run, in UTC; None for what is none, as a baseline file may hold anything."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
