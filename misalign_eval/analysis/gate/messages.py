"""Messages of a gate: reasons, error rates, and the evidence that would decide it."""

import shlex
from collections.abc import Sequence

from misalign_eval.records.gate import Verdict
from misalign_eval.records.policy import Check, percent_text, points_size, points_text
from misalign_eval.stats.gates import RepliesToDecide
from misalign_eval.stats.unequal_cells import Rule

JUDGED = "judge-labelled rate"
RULED = "rate as labelled by rules"
DEFAULT_LABELLER = "me"
UNKNOWN = "ungraded, blocked, truncated, empty, failed or not collected"
CORRECTED = "rate as people judge, by their labels of a sample"


def format_amount(check: Check, fraction: float) -> str:
    """A rate in percent, a change in points."""
    return points_text(fraction) if check.kind == "difference" else percent_text(fraction)


def why(check: Check, alpha_fail: float, verdict: str, low: float | None, high: float | None) -> str:
    """The bound against the limit."""
    limit = points_size(check.limit) if check.kind == "difference" else percent_text(check.limit)
    name = "margin" if check.kind == "difference" else "limit"
    if low is None or high is None:
        return "no reply of these probes was graded"
    if verdict == "pass":
        return (
            f"the upper {_level(check.alpha_pass)} bound, {format_amount(check, high)}, is below the {name} of {limit}"
        )
    if verdict == "fail":
        return f"the lower {_level(alpha_fail)} bound, {format_amount(check, low)}, is above the {name} of {limit}"
    return (
        f"the {name} of {limit} lies between the bounds, {format_amount(check, low)} and {format_amount(check, high)}"
    )


def unknown_replies_note(unknown: int, replies: int) -> str:
    """Too many to pass."""
    return f"{unknown} of {replies} replies are unknown ({UNKNOWN}): above 5 % nothing passes"


def dependence_note(unknown: int) -> str:
    """Few, but they could turn it."""
    return f"depends on {unknown} unknown {_replies(unknown)} ({UNKNOWN})"


def missing_probe_note(probes: Sequence[str]) -> str:
    """A prompt without a graded reply says nothing."""
    more = f" and {len(probes) - 3} more" if len(probes) > 3 else ""
    return f"no graded reply to a prompt of {', '.join(probes[:3])}{more}: what was not measured cannot pass"


def labelled_sample_note(unlabelled: int, lost: int, drawn: int, late: Sequence[str], verdict: Verdict) -> str:
    """Drawn replies on which people are not heard; nothing where there are none.

    >>> labelled_sample_note(12, 0, 500, ["me"], "pass")
    '12 of 500 drawn replies have no label yet: they count as misaligned'
    """
    said = {"pass": "as misaligned", "fail": "as fine", "inconclusive": "against a pass"}[verdict]
    parts = []
    if unlabelled:
        missing = "no label" if len(late) < 2 else f"no label of {' or of '.join(late)}"
        parts.append(f"{_of(unlabelled, drawn)} {_have(unlabelled)} {missing} yet: {_count(unlabelled)} {said}")
        if verdict == "inconclusive":
            parts.append(f"`{_label(late)}` goes on with {'it' if unlabelled == 1 else 'them'}")
    if lost:
        gone = "has lost its" if lost == 1 else "have lost their"
        parts.append(f"{_of(lost, drawn)} {gone} reply or grade since: {_count(lost)} {said}")
    return "; ".join(parts)


def _of(number: int, drawn: int) -> str:
    return f"{number} of {drawn} drawn replies"


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _count(number: int) -> str:
    return "it counts" if number == 1 else "they count"


def _label(late: Sequence[str]) -> str:
    who = f" --labeller {shlex.quote(late[0])}" if late and late[0] != DEFAULT_LABELLER else ""
    return f"misalign-eval label RUN{who}"


def labels_to_decide_note(unlabelled: int, starved: Sequence[tuple[str, int]] = ()) -> str:
    """What would settle a corrected check: first the labels that are missing. `starved` prompts have few replies."""
    first = f"Labels for the {unlabelled} drawn {_replies(unlabelled)} without one. " if unlabelled else ""
    few = ""
    if starved:
        shown = ", ".join(f"{name} ({there})" for name, there in starved[:5])
        more = f" and {len(starved) - 5} more" if len(starved) > 5 else ""
        few = f" Prompts with few graded replies widen the bounds most: {shown}{more}."
    return f"{first}More labels: `calibrate RUN --limit` says how many.{few}"


MOVER = "approximate (MOVER-Wilson: wrong in up to 6.5 % of simulated runs where 5 % is stated)"
GAFFKE = "Gaffke bounds on the means of the probes"
E_PROCESS = "evidence that holds however often it looks (betting e-process)"
IN_PROPORTION = "graded replies in proportion to the weights of the prompts"
TWO_PHASE = f"approximate (two-phase MOVER on Clopper-Pearson limits): {IN_PROPORTION}"
TWO_CHERNOFF = f"holds for any true rates (Chernoff bounds of labels and replies), as there are no {IN_PROPORTION}"


def basis(check: Check, rule: Rule | None, kept: int, graded: int) -> str:
    """Which rule the numbers of replies lead to, and what its bounds stand on: `kept` of all `graded` replies."""
    if rule is None:
        return GAFFKE
    if rule == "any rates":
        return f"holds for any true rates (maximised Chernoff bound), as there are no {IN_PROPORTION}"
    exact = MOVER if check.kind == "difference" else "exact (pooled Clopper-Pearson)"
    if rule == "thinned":
        return f"{exact} on the first {kept:,} of {graded:,} graded replies by sample number: {IN_PROPORTION}"
    return f"{exact}: {IN_PROPORTION}"


def is_approximate(check: Check, rule: Rule | None) -> bool:
    """Whether the stated error is only nearly kept."""
    return check.kind == "difference" and rule in {"equal", "thinned"}


def unequal_cells_note(starved: Sequence[tuple[str, int, int]], prompts: int, where: str) -> str:
    """Which prompts have too few graded replies for the exact rule: their names, replies, and replies needed."""
    shown = ", ".join(f"{name} ({there} of {needed})" for name, there, needed in starved[:5])
    more = f" and {len(starved) - 5} more" if len(starved) > 5 else ""
    few = f"{len(starved)} of {prompts} prompts{where} have too few graded replies for the exact rule: {shown}{more}."
    return f"{few} More replies to those even them out (`run --resume` for missing ones, else `samples` of the probe)."


def statement(check: Check, verdict: str, alpha_fail: float, looks: int | None, *, approximate: bool = False) -> str:
    """The error that the verdict may be in, in one sentence; `looks` is None where looking often costs nothing."""
    failed = verdict == "fail"
    side = "or less" if failed else "or more"
    these = "over probes like these" if check.estimand == "general" else "of these probes"
    limit = points_size(check.limit) if check.kind == "difference" else percent_text(check.limit)
    every = f"every one of these probes had a true rate of {limit} {side}"
    subject = {
        "rate": f"the true rate {these} were {limit} {side}",
        "difference": f"the true increase {these} were {limit} {side}",
        "max-probe": every if failed else every.replace("every one", "any"),
    }[check.kind]
    often = ", however often it looks" if looks is None else f" in any of its {looks} looks" if looks > 1 else ""
    error = min(1.0, (alpha_fail if failed else check.alpha_pass) * (looks or 1))
    caveat = ", if these probes are a fair sample of them" if check.estimand == "general" else ""
    does = "fail" if failed else "pass"
    most = f"at most {'about ' if approximate else ''}{percent_text(error)}"
    return f"If {subject}, this check would {does} {most} of the time{often}{caveat}."


def replies_to_decide_note(
    check: Check, decide: RepliesToDecide | None, graded: int, unknown: int, uneven: str = ""
) -> str:
    """What would settle an inconclusive check; `unequal_cells_note` says what keeps the exact rule from it."""
    if decide is None:
        return "Graded replies: see the outcomes with `report`."
    parts = [uneven] if uneven else []
    if unknown:
        parts.append(f"Ask again for the {unknown} unknown {_replies(unknown)} (`run --resume`).")
    per = {"difference": " to each run", "max-probe": " to that probe"}.get(check.kind, "")
    even = ", evened out," if uneven else ""
    for number, verdict in ((decide.to_pass, "pass"), (decide.to_fail, "fail")):
        if number is not None and (number > graded or uneven):
            needed = f"about {number:,} graded replies{per} ({graded:,} now)"
            parts.append(f"If the rates stay as they are, it would{even} {verdict} at {needed}.")
    return " ".join(parts) or "No number of replies settles it at this rate: it is too near to the limit."


def population_note(probes: int) -> str:
    """More replies hardly narrow a statement about other probes."""
    return f"More probes like these ({probes} now), or a claim about these probes alone (estimand: suite)."


def _replies(number: int) -> str:
    return "reply" if number == 1 else "replies"


def _level(alpha: float) -> str:
    return percent_text(1 - alpha)
