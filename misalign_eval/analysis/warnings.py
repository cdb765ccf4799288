"""Warnings of a report, comparison or gate, as sentences with stable ids."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from misalign_eval.analysis.counts import Cell, Headline, Tally
from misalign_eval.analysis.estimates import by_probe, counted, graded, of_controls, repeats_one_draw
from misalign_eval.records.base import Estimated
from misalign_eval.records.definition import UNKNOWN, Definition, Outcome
from misalign_eval.records.findings import Warned
from misalign_eval.records.policy import percent_text
from misalign_eval.records.summary import CalibrationNote, Estimand, Provenance
from misalign_eval.stats.cautions import FEWEST_EVENTS, CautionId, is_clustered_unreliable, run_cautions
from misalign_eval.stats.general import FEWEST_PROBES, can_generalise

ALIKE_SHARE = 0.5
UNKNOWN_SHARE = 0.01
LEAST_KNOWN = 0.8  # lower 95 % bounds of sensitivity and specificity from which on a judge counts as compared
FIRST_DIGITS = "only the first digit of each was read"
SCALES = ("aligned", "coherent")  # the two 0-100 scores of the field, of which one is the other's filter
NUMBERS_SAY: dict[CautionId, str] = {
    "W1": f"fewer than {FEWEST_EVENTS} misaligned replies: rate and ratio are unstable",
    "W2": "one graded reply a prompt: differences between probes cannot sharpen the interval",
    "W3": "clustered intervals cover far less than 95 % below 200 probes or a rate of 5 %: for comparison with papers",
    "W4": "few probes hold the misaligned replies (under 10 in effect, or a tenth holds most): no word about others",
    "W10": "some prompts have more than twice the graded replies of others: intervals are approximate; gates take "
    "bounds that hold for any such numbers",
}


def of_run(
    tally: Tally, cells: Sequence[Cell], head: Headline, provenance: Provenance, interval: Estimand = "suite"
) -> Iterator[Warned]:
    """Everything worth saying about one run."""
    yield from of_files(tally.differing, tally.first_digits)
    yield from _of_rows(tally, cells)
    yield from of_answers(tally)
    yield from of_seed(tally, cells)
    yield from _of_choice(head, tally.definition, provenance)
    yield from of_cells(head.cells, tally.definition, interval)
    if head.cells:
        yield from of_judge(provenance)
    yield from _of_forms(cells)
    yield from of_controls(cells, tally.definition)


def of_cells(cells: Sequence[Cell], definition: Definition, interval: Estimand = "suite") -> Iterator[Warned]:
    """What the counts of the headline call for."""
    yield from _of_gaps(cells, definition)
    yield from _of_size(cells, definition)
    yield from _of_interval(cells, definition, interval)
    yield from _of_draws(cells)
    yield from _of_texts(cells)
    yield from _of_ends(cells)
    yield from _of_copies(cells)


def _of_rows(tally: Tally, cells: Sequence[Cell]) -> Iterator[Warned]:
    absent = sum(cell.not_collected for cell in cells)
    failed = sum(cell.outcomes.get("failed", 0) for cell in cells) - absent
    planned = sum(cell.prompt.samples for cell in cells)
    if absent:
        text = f"{absent} of {planned} planned replies are not collected yet; they are counted as failed"
        yield Warned(id="not-collected", text=f"{text}. `run --resume` asks for them")
    if failed:
        text = f"{failed} of {planned} planned replies ended in a failure (no reply); they are in no rate"
        yield Warned(id="failures", text=text)
    if tally.unplanned:
        text = f"{tally.unplanned} rows belong to no planned reply (the plan was made smaller) and are not counted"
        yield Warned(id="unplanned", text=text)


def of_files(differing: Mapping[str, int], first_digits: Mapping[str, int]) -> Iterator[Warned]:
    """What is wrong with the files that the counts were read from, so that no gate decides on them.

    By file: keys with rows that differ; scores that are those of first digits.
    """
    for name, keys in differing.items():
        text = f"{name}: {_count(keys, 'key has', 'keys have')} rows that differ, as two processes leave them"
        yield Warned(id="contradicting-rows", text=f"{text}. The first of each is counted; no gate reads this run")
    for name, rows in first_digits.items():
        text = f"{name}: {rows} scores of a judge that shows no number of two digits: {FIRST_DIGITS}"
        yield Warned(id="truncated-scores", text=f"{text}. `regrade RUN --judge P/M --judge-method sampled --primary`")


def of_answers(tally: Tally) -> Iterator[Warned]:
    """Which models answered, where they are not those that were asked for by name."""
    answers = tally.answers
    if answers is None:
        return
    if answers.strangers:
        count, names = answers.strangers.total(), _named(answers.strangers)
        text = f"{count} answers came from another model than {answers.target.name}: {names}"
        yield Warned(id="other-model", text=f"{text}. They are no replies of it and count as failed")
    if accepted := answers.accepted:
        text = f"the target answered under another name, which `served_as` accepts: {_named(accepted)}"
        yield Warned(id="served-as", text=text)
    for judge, accepted in answers.accepted_judges.items():
        text = f"judge {judge} answered under another name, which `served_as` accepts: {_named(accepted)}"
        yield Warned(id="judge-served-as", text=text)


def of_seed(tally: Tally, cells: Sequence[Cell]) -> Iterator[Warned]:
    """Whether the target's options send one and the same seed with every sample, in place of one for each.

    Equal replies show such a run (`copies`); but a server may round otherwise from request to request, so that replies
    of one draw part somewhere, and look like several.
    """
    several = any(cell.prompt.samples > 1 and cell.prompt.sampling.temperature != 0 for cell in cells)
    if several and tally.answers is not None and _has_seed(dict(tally.answers.target.options)):
        text = "the target's options send one seed with every request: the samples of a prompt may be one draw, and"
        yield Warned(
            id="fixed-seed", text=f"{text} intervals too narrow. Take it out of `options`; --seed sends one a sample"
        )


def _has_seed(value: JsonValue) -> bool:
    """Whether a number stands under a name such as `seed` or `random_seed`; below 0 it asks for another each time."""
    if isinstance(value, list):
        return any(map(_has_seed, value))
    if not isinstance(value, dict):
        return False
    named = (part for name, part in value.items() if re.fullmatch(r"(?:.*[-_])?seed", name, re.IGNORECASE))
    is_fixed = any(isinstance(part, int) and not isinstance(part, bool) and part >= 0 for part in named)
    return is_fixed or any(map(_has_seed, value.values()))


def _named(names: "Counter[str]", most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"`{name}` ({count})" for name, count in names.most_common(most)) + more


def _of_choice(head: Headline, definition: Definition, provenance: Provenance) -> Iterator[Warned]:
    if not head.cells:
        yield Warned(id="empty", text="the plan holds no prompts: there is nothing to average")
    elif head.splits[0] != "broad" and len(head.splits) == 1:
        yield Warned(id="no-broad", text=f"not a broad rate: it is the mean over {head.words}")
    if head.cells and head.variant is None:
        yield Warned(id="no-plain", text="no probe was asked in its plain form: the rate mixes every form")
    if definition.measure == "rate" and definition.numerator != ("misaligned",):
        named = ", ".join(name.replace("_", " ") for name in definition.numerator)
        yield Warned(id="numerator", text=f"by definition {definition.name}, what is called misaligned here is {named}")
    if set(SCALES) & set(definition.graders) == {"aligned"}:
        text = f"definition {definition.name} reads no grade of coherence: incoherent replies are not taken out"
        yield Warned(id="no-coherence", text=f"{text}, and may count as misaligned")
    for grader in definition.graders:
        if grader not in provenance.graders:
            text = f"definition {definition.name} reads grader `{grader}`, which has no grades in this run"
            yield Warned(id="no-grades", text=f"{text}. `regrade` adds them")


def _of_gaps(cells: Sequence[Cell], definition: Definition) -> Iterator[Warned]:
    probes = by_probe(cells)
    left_out = [name for name, members in probes.items() if not any(graded(cell, definition) for cell in members)]
    if left_out:
        text = f"{len(left_out)} of {len(probes)} probes have no reply that counts and are left out of the mean"
        yield Warned(id="probes-left-out", text=f"{text}: {_listed(left_out)}")
    partly = [
        name
        for name, members in probes.items()
        if name not in left_out and not all(graded(cell, definition) for cell in members)
    ]
    if partly:
        text = f"{len(partly)} probes have a prompt without a reply that counts; their other prompts stand for them"
        yield Warned(id="prompts-left-out", text=f"{text}: {_listed(partly)}")


def _of_size(cells: Sequence[Cell], definition: Definition) -> Iterator[Warned]:
    planned = sum(cell.prompt.samples for cell in cells)
    unknown = _unknown(cells)
    if unknown > UNKNOWN_SHARE * planned:
        yield Warned(id="W7", text=f"{unknown} of {planned} planned replies are unknown (ungraded or failed)")
    cut = sum(cell.count(("truncated",)) for cell in cells)
    if cut > UNKNOWN_SHARE * planned:
        text = f"{cut} of {planned} planned replies were cut off at their token limit and count as truncated"
        yield Warned(id="truncated", text=f"{text}: raise --max-tokens, or use a definition with `truncated: graded`")
    yield from _of_answers(cells, planned)
    counts = counted(cells, definition)
    if counts is None:
        return
    if definition.measure == "rate":
        yield from (Warned(id=name, text=NUMBERS_SAY[name]) for name in run_cautions(counts))
    if not can_generalise(counts.probe_count):
        yield Warned(id="few-probes", text=f"fewer than {FEWEST_PROBES} probes: too few to generalise from")


def _of_answers(cells: Sequence[Cell], planned: int) -> Iterator[Warned]:
    """Rows without an answer of the model's: nobody knows what it would have said."""
    whats: tuple[tuple[Outcome, str], ...] = (("blocked", "were held back by a filter"), ("empty", "have no text"))
    for name, what in whats:
        number = sum(cell.count((name,)) for cell in cells)
        if number > UNKNOWN_SHARE * planned:
            yield Warned(id=name, text=f"{number} of {planned} planned replies {what} and count as {name}")


def _unknown(cells: Sequence[Cell]) -> int:
    return sum(cell.count(UNKNOWN) for cell in cells)


def _of_interval(cells: Sequence[Cell], definition: Definition, interval: Estimand) -> Iterator[Warned]:
    counts = counted(cells, definition) if interval == "clustered" else None
    if counts is not None and is_clustered_unreliable(counts.probe_count, counts.rate):
        yield Warned(id="W3", text=NUMBERS_SAY["W3"])


def of_unknown_shares(before: Sequence[Cell], after: Sequence[Cell]) -> list[Warned]:
    """Few unknown replies in each run can still be far more in one than in the other."""
    shares = [_unknown(cells) / max(sum(cell.prompt.samples for cell in cells), 1) for cells in (before, after)]
    if abs(shares[1] - shares[0]) <= UNKNOWN_SHARE:
        return []
    text = "the share of unknown replies (ungraded or failed) differs between the runs by more than a point"
    return [Warned(id="W7", text=f"{text}: {shares[0]:.1%} before, {shares[1]:.1%} after")]


def of_judge(provenance: Provenance) -> Iterator[Warned]:
    """A judge's verdicts are a measurement of their own, until human labels say how good it is."""
    if provenance.judge and (why := uncalibrated(provenance.calibration)):
        yield Warned(id="W9", text=f"the rate is as judged by {provenance.judge}, whose verdicts {why}")
    if provenance.imported_judges:
        judges = ", ".join(provenance.imported_judges)
        text = f"imported grades: the judge is named by the importer ({judges}); its rubric and settings are not known"
        yield Warned(id="imported", text=text)


def uncalibrated(note: CalibrationNote | None) -> str:
    """What is wrong with the calibration of the judge; nothing where one fits and says enough."""
    if note is None:
        return "were not compared with human labels"
    if note.matches:
        return _doubts(note)
    html = ", ".join(f"{grader}@{identity}" for grader, identity in note.graders.items())
    return (
        f"were not compared with human labels: the calibration there is ({html}) is of another judge, prompt or model"
    )


def _doubts(note: CalibrationNote) -> str:
    """Why a calibration that fits does not settle how good the judge is here; nothing where it does.

    Few labels, or none of one kind, leave an interval that says nothing; and a judge may err more on another model.
    """
    ends = {"sensitivity": note.sensitivity, "specificity": note.specificity}
    wide = [name for name, known in ends.items() if known.low is None or known.low < LEAST_KNOWN]
    bad = [name for name in wide if (high := ends[name].high) is not None and high < LEAST_KNOWN]
    whose = "of the grader's own examples" if note.design == "examples" else "none of them of this run"
    where = "" if note.of_this_run else f", {whose}"
    if not (wide or where):
        return ""
    words = f"were compared with {note.n} human labels ({note.source}){where}"
    words += f" but of replies of {note.target}" if note.target and where else ""
    if wide:
        verdict = "which show that the judge errs often" if bad else "too few to tell"
        words += f", {verdict}: {' and '.join(f'{name} {_known(ends[name])}' for name in bad or wide)}"
    return words


def _known(estimated: Estimated) -> str:
    if estimated.estimate is None or estimated.low is None or estimated.high is None:
        return "unknown, as no label speaks of it"
    return f"{percent_text(estimated.estimate)} [{percent_text(estimated.low)}, {percent_text(estimated.high)}]"


def _of_draws(cells: Sequence[Cell]) -> Iterator[Warned]:
    once = [cell for cell in cells if repeats_one_draw(cell)]
    if once:
        text = f"{_count(len(once), 'prompt was', 'prompts were')} asked at temperature 0: their samples are one draw"
        yield Warned(id="one-draw", text=f"{text}, and each counts as one reply in every interval and test")


def _of_texts(cells: Sequence[Cell]) -> Iterator[Warned]:
    alike = [cell for cell in cells if cell.most_alike >= max(2, ALIKE_SHARE * cell.replies)]
    if alike:
        names = _listed(list(dict.fromkeys(cell.prompt.probe for cell in alike)))
        text = f"at least half of the replies are word for word the same for {_count(len(alike), 'prompt', 'prompts')}"
        yield Warned(id="W6", text=f"{text} (temperature 0, a cache, or a stock reply?): {names}")


def _of_ends(cells: Sequence[Cell]) -> Iterator[Warned]:
    """A reply that may be half an answer is graded as if it were whole."""
    if unknown := sum(cell.unknown_ends for cell in cells):
        replies = sum(cell.replies for cell in cells)
        text = f"the server did not say how {unknown} of {replies} replies ended: they are graded as whole"
        yield Warned(id="unknown-ends", text=f"{text}, and some may be cut off")


def _of_copies(cells: Sequence[Cell]) -> Iterator[Warned]:
    copied = sum(cell.repeats.count("1") for cell in cells)
    if copied:
        replies = sum(cell.replies for cell in cells)
        text = f"{copied} of {replies} replies are copies: most prompts have one and the same sentence for all samples"
        yield Warned(id="copies", text=f"{text} (a cache, or a stock reply). Each text counts once a prompt")


def _of_forms(cells: Sequence[Cell]) -> Iterator[Warned]:
    forms = {(cell.prompt.variant, cell.prompt.expects) for cell in cells if cell.prompt.expects is not None}
    for variant, expects in sorted(forms):
        asked = [cell for cell in cells if cell.prompt.variant == variant and cell.prompt.expects == expects]
        if sum(cell.replies for cell in asked) and not any(cell.obeyed for cell in asked):
            replies = sum(cell.replies for cell in asked)
            text = f"variant {variant} asked for {expects}, and none of {replies} replies is {expects}"
            yield Warned(id="form-not-obeyed", text=f"{text}: did the instruction reach the model?")


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _count(number: int, item: str, many: str) -> str:
    return f"{number} {item if number == 1 else many}"
