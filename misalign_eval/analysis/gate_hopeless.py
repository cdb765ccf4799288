"""Refusing at once what no sample could pass: before any request, and before any verdict."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from misalign_eval.analysis import gate_corrected
from misalign_eval.analysis.estimates import by_probe
from misalign_eval.analysis.gate_cells import Side, draws, is_one_draw, scope
from misalign_eval.analysis.gate_corrected import Labels
from misalign_eval.analysis.tally import Cell
from misalign_eval.errors import UsageError
from misalign_eval.records.definition import Definition
from misalign_eval.records.policy import Check, Policy, percent_text, points_size
from misalign_eval.stats.cells import macro_weights
from misalign_eval.stats.evalues import log_evidence
from misalign_eval.stats.gates import fewest_replies
from misalign_eval.stats.general import FEWEST_PROBES
from misalign_eval.stats.power import check_margin_plan, check_plan
from misalign_eval.stats.sequential import CAP_SHARE, SequentialDesign, most_hits_to_pass, needed_log_evidence


def refuse(
    policy: Policy,
    cells: Sequence[Cell],
    definition: Definition,
    baseline: Side | None,
    *,
    sequential: bool = False,
    labels: Labels | None = None,
) -> None:
    """Raise UsageError with every check that cannot pass even when every planned reply is clean.

    `labels` are those that a check of the corrected rate stands on.
    """
    if found := problems(policy, cells, definition, baseline, sequential=sequential, labels=labels):
        raise UsageError("\n".join(found.values()))


def problems(
    policy: Policy,
    cells: Sequence[Cell],
    definition: Definition,
    baseline: Side | None,
    *,
    sequential: bool = False,
    labels: Labels | None = None,
) -> dict[str, str]:
    """Why a check cannot pass, by the name of each such check. Raises UsageError for a policy that does not fit."""
    if definition.measure == "mean":
        raise UsageError(
            f"definition `{definition.name}` gives a mean score, and a gate decides about a rate. "
            "Choose a definition with `measure: rate` (--definition)"
        )
    if policy.needs_baseline and baseline is None:
        raise UsageError("a difference check needs --baseline RUN or FILE")
    stored = _no_more_than(cells, baseline) if sequential and baseline is not None else cells
    asked = ((check, stored if check.kind == "difference" else cells) for check in policy.checks)
    found = {check.label: [_problem(check, some, sequential=sequential)] for check, some in asked}
    for check in policy.checks:
        if check.kind == "rate" and check.corrected:
            found[check.label].append(gate_corrected.problem(check, labels, sequential=sequential))
    return {label: "\n".join(filter(None, why)) for label, why in found.items() if any(why)}


def _no_more_than(cells: Sequence[Cell], baseline: Side) -> list[Cell]:
    """Pairs need a partner: as many samples as the baseline has, at most."""
    there = {cell.prompt.prompt_digest: cell.prompt.samples for cell in baseline.cells}
    most = [min(cell.prompt.samples, there.get(cell.prompt.prompt_digest, 0)) for cell in cells]
    return [
        replace(cell, prompt=cell.prompt.model_copy(update={"samples": max(1, number)}))
        for cell, number in zip(cells, most, strict=True)
    ]


def _problem(check: Check, cells: Sequence[Cell], *, sequential: bool) -> str:
    """Why a check is hopeless, or nothing."""
    inside = scope(check, cells).cells
    if not inside or not all(cell.prompt.samples for cell in inside):
        return f"check `{check.label}`: the plan asks for no replies, or for none to one of its prompts"
    if sequential and any(is_one_draw(cell) for cell in inside):
        return (
            f"check `{check.label}`: at temperature 0 more replies are no more evidence, so there is nothing to stop "
            "early. Set a temperature above 0"
        )
    if check.estimand == "general":
        return _general(check, len(by_probe(inside)), sequential=sequential)
    if check.kind == "max-probe":
        return _every_probe(check, inside, sequential=sequential)
    return _all_together(check, inside, sequential=sequential)


def _all_together(check: Check, cells: Sequence[Cell], *, sequential: bool) -> str:
    replies = _worth(cells)
    if _can_pass(check, replies, sequential=sequential):
        return ""
    planned, needed = sum(cell.prompt.samples for cell in cells), _needed(check, sequential=sequential)
    if any(is_one_draw(cell) for cell in cells):
        return f"{_cannot(check)}: at temperature 0 a prompt is one draw, {replies} in all, and it takes {needed}"
    samples = math.ceil(max(cell.prompt.samples for cell in cells) * needed / replies)
    clean = f"{planned} planned replies, all of them clean"
    return f"{_cannot(check)} with {clean}: it takes {needed}. Try --samples {samples}"


def _general(check: Check, probes: int, *, sequential: bool) -> str:
    if sequential:
        return (
            f"check `{check.label}`: stopping early decides about these probes (estimand: suite), never about probes "
            "like these. Leave out --stop-when-decided for it"
        )
    needed = max(FEWEST_PROBES, fewest_replies(check.limit, check.alpha_pass))
    if probes >= needed:
        return ""
    return f"{_cannot(check)} for probes like these with {probes} probes, all of them clean: it takes {needed} probes"


def _every_probe(check: Check, cells: Sequence[Cell], *, sequential: bool) -> str:
    """The probe with the fewest replies decides."""
    worth = {probe: _worth(members) for probe, members in by_probe(cells).items()}
    probe = min(worth, key=lambda name: worth[name])
    if _can_pass(check, worth[probe], sequential=sequential):
        return ""
    needed = _needed(check, sequential=sequential)
    return (
        f"{_cannot(check)} with {worth[probe]} planned replies to probe `{probe}`, all of them clean: it takes {needed}"
    )


def _cannot(check: Check) -> str:
    what = f"a margin of {points_size(check.limit)}" if check.kind == "difference" else percent_text(check.limit)
    return f"check `{check.label}`: {what} cannot be passed"


def _can_pass(check: Check, replies: int, *, sequential: bool) -> bool:
    """Whether this many clean replies (to each side) would pass."""
    if not sequential:
        plan = check_margin_plan if check.kind == "difference" else check_plan
        return plan(check.limit, replies, alpha=check.alpha_pass)
    if check.kind == "difference":
        evidence = float(log_evidence(np.array([0, replies, 0]), check.limit, "pass"))
        enough = evidence >= needed_log_evidence(check.alpha_pass)
        return enough or check_margin_plan(check.limit, replies, alpha=CAP_SHARE * check.alpha_pass)
    return most_hits_to_pass(SequentialDesign(check.limit, replies, check.alpha_pass, check.alpha_fail)) >= 0


def _needed(check: Check, *, sequential: bool) -> int:
    low, high = 0, 1
    while not _can_pass(check, high, sequential=sequential):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _can_pass(check, middle, sequential=sequential) else (middle, high)
    return high


def _worth(cells: Sequence[Cell]) -> int:
    """Replies that the planned ones are worth where paraphrases or samples are unequal."""
    places = {probe: place for place, probe in enumerate(by_probe(cells))}
    weights = macro_weights(np.array([places[cell.prompt.probe] for cell in cells]))
    spread = sum(weight**2 / draws(cell) for weight, cell in zip(weights, cells, strict=True))
    return math.floor(1 / float(spread) + 1e-9)
