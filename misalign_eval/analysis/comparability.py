"""Comparability: one table of what may differ between two runs, with an answer for each use.

The uses are resume, merge, pool, baseline and compare. A new field of run.json or of the plan gets its row here.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal, NamedTuple

from misalign_eval.analysis.align import Paired
from misalign_eval.analysis.counts import Cell
from misalign_eval.errors import UsageError
from misalign_eval.records.base import digest
from misalign_eval.records.findings import Warned
from misalign_eval.records.run import CellKey, PlannedPrompt, RunManifest, TargetInfo
from misalign_eval.records.suite import Sampling
from misalign_eval.records.summary import Provenance

# The table of comparability: one answer for each field and use.
#
# Every function that takes two runs reads its answers here. What a use does not know of a run, as an older folder or
# baseline file does not say it, is neither equal nor different: it is told.


Answer = Literal["equal", "unlike", "absent", "told", "free"]
Use = Literal["resume", "merge", "pool", "baseline", "compare"]
EQUAL: Final = "equal"  # must be equal
UNLIKE: Final = "unlike"  # must not be equal; what neither run has is no match
ABSENT: Final = "absent"  # must not be there in what is joined, or compared with
TOLD: Final = "told"  # may differ, and is said
FREE: Final = "free"  # may differ
LONGEST = 40  # characters of a value in a message


class ComparabilityRow(NamedTuple):
    """What a field is called, with {} for the name of what differs in a mapping, and the answer of each use."""

    words: str
    resume: Answer
    merge: Answer
    pool: Answer
    baseline: Answer
    compare: Answer


TABLE: Final[Mapping[str, ComparabilityRow]] = {
    # field             in words               resume merge   pool    baseline compare
    "run": ComparabilityRow("the run itself", FREE, FREE, UNLIKE, UNLIKE, FREE),
    "suite": ComparabilityRow("suite", EQUAL, EQUAL, EQUAL, EQUAL, FREE),
    "version": ComparabilityRow("suite", EQUAL, EQUAL, FREE, FREE, FREE),  # where FREE, the content decides
    "content": ComparabilityRow(
        "suite", FREE, EQUAL, EQUAL, EQUAL, TOLD
    ),  # where FREE, all that is planned is compared
    "target": ComparabilityRow("target", EQUAL, EQUAL, EQUAL, FREE, FREE),
    "options": ComparabilityRow("target options", EQUAL, EQUAL, EQUAL, TOLD, TOLD),
    "headers": ComparabilityRow("request headers", EQUAL, EQUAL, EQUAL, TOLD, TOLD),
    "host": ComparabilityRow("host", FREE, FREE, TOLD, FREE, FREE),  # a server that moved is the same model
    "definition": ComparabilityRow(
        "definition", EQUAL, EQUAL, FREE, FREE, FREE
    ),  # its name; where FREE, the content decides
    "counting": ComparabilityRow("definition", EQUAL, EQUAL, EQUAL, EQUAL, EQUAL),
    "judges": ComparabilityRow("judge of `{}`", EQUAL, EQUAL, EQUAL, EQUAL, TOLD),
    "seed": ComparabilityRow("seed", EQUAL, EQUAL, UNLIKE, FREE, FREE),
    "shard": ComparabilityRow("shard", EQUAL, FREE, EQUAL, FREE, FREE),
    "shards": ComparabilityRow("number of shards", FREE, EQUAL, FREE, FREE, FREE),
    "stopping": ComparabilityRow("the stopping rule", EQUAL, ABSENT, ABSENT, ABSENT, FREE),
    "labels": ComparabilityRow("label {}", FREE, EQUAL, TOLD, FREE, FREE),
    "prompts": ComparabilityRow("the prompts planned", EQUAL, EQUAL, EQUAL, EQUAL, TOLD),
    "asked": ComparabilityRow(
        "what is asked", EQUAL, EQUAL, EQUAL, EQUAL, TOLD
    ),  # the words, by which baselines and compare pair
    "sampling": ComparabilityRow("sampling", EQUAL, EQUAL, EQUAL, EQUAL, TOLD),
    "moment": ComparabilityRow("the moment of the start", FREE, FREE, UNLIKE, FREE, TOLD),
    "planned": ComparabilityRow(
        "what is planned beside", TOLD, EQUAL, FREE, FREE, FREE
    ),  # graders, criteria, categories …
    "samples": ComparabilityRow("samples", FREE, EQUAL, FREE, FREE, FREE),
    "order": ComparabilityRow("the order of the prompts planned", FREE, EQUAL, FREE, FREE, FREE),
    "tool": ComparabilityRow(
        "the program", FREE, FREE, FREE, FREE, FREE
    ),  # versions, commit, files, names, how a plan was chosen
}

# Which row answers for a field of run.json; the counts of a plan follow from its prompts.
OF_MANIFEST: Final[Mapping[str, str]] = {
    "created": "moment",
    "suite": "suite",
    "suite_version": "version",
    "suite_digest": "content",
    "controls": "content",  # written replies of the suite
    "definition": "definition",
    "definition_digest": "counting",
    "target": "target",
    "seed": "seed",
    "stopping": "stopping",
    "primary": "judges",
    "shard": "shard",
    "labels": "labels",
    "planned_prompts": "prompts",
    "planned_replies": "samples",
} | dict.fromkeys(
    (
        *("format", "tool_version", "versions", "git_commit", "name", "suite_file", "canary", "example"),
        *("rules", "overrides", "selection", "mapped"),  # what they led to is compared: graders, sampling and prompts
    ),
    "tool",
)
OF_TARGET: Final[Mapping[str, str]] = {
    "provider": "target",
    "model": "target",
    "options": "options",
    "headers": "headers",
    "host": "host",
    "given": "tool",  # its name in the settings file
    "served_as": "tool",  # which models may answer; what answered stands in the rows
}
OF_PROMPT: Final[Mapping[str, str]] = {
    "probe": "prompts",
    "prompt": "prompts",
    "variant": "prompts",
    "system": "asked",
    "messages": "asked",
    "prompt_digest": "asked",
    "sampling": "sampling",
    "samples": "samples",
} | dict.fromkeys(("category", "split", "tags", "expect", "graders", "criteria", "reference", "expects"), "planned")


class ComparedFact(NamedTuple):
    """What a run has in a field, and how a message shows it; "" where it may hold a secret or is too long."""

    value: object
    shown: str = ""


Facts = Mapping[str, ComparedFact]  # by the fields of TABLE; what is not known is not there


class RunDifference(NamedTuple):
    """A field in which two runs are not as a use wants them. `known`: whether both say what they have."""

    field: str
    answer: Answer
    words: str
    was: str = ""
    now: str = ""
    known: bool = True

    def text(self, form: str) -> str:
        """As `seed (1, now 2)`, where `form` says `{was}, now {now}`."""
        if not self.was and not self.now:
            return self.words
        return f"{self.words} ({form.format(was=self.was, now=self.now)})"


def answer(use: Use, field: str) -> Answer:
    """What the table says."""
    answer: Answer = getattr(TABLE[field], use)
    return answer


def differences(use: Use, facts: Facts, other: Facts) -> Iterator[RunDifference]:
    """Every field that is not as the use wants it, in the order of the table, and each word once.

    A field that one of them does not know comes with `known` false; one that neither knows is not looked at here.
    """
    seen: set[str] = set()
    for field, row in TABLE.items():
        wanted = answer(use, field)
        if wanted == FREE or row.words in seen or (field not in facts and field not in other):
            continue
        if field not in facts or field not in other:
            yield RunDifference(field, wanted, row.words.replace("{}", "…"), known=False)
            continue
        for found in _difference(field, wanted, row.words, facts[field], other[field]):
            seen.add(row.words)
            yield found


def refusals(differences: Sequence[RunDifference]) -> list[RunDifference]:
    """Those that a use does not go on with."""
    return [difference for difference in differences if difference.known and difference.answer != TOLD]


def _difference(
    field: str, wanted: Answer, words: str, fact: ComparedFact, other: ComparedFact
) -> Iterator[RunDifference]:
    if _holds(wanted, fact.value, other.value):
        return
    if isinstance(fact.value, Mapping) and isinstance(other.value, Mapping):
        for name in {**fact.value, **other.value}:
            a, b = fact.value.get(name), other.value.get(name)
            if a != b:
                yield RunDifference(field, wanted, words.format(name), _cut(a), _cut(b))
    else:
        yield RunDifference(field, wanted, words, fact.shown, other.shown)


def _holds(wanted: Answer, item: object, other: object) -> bool:
    if wanted == UNLIKE:
        return item is None or item != other
    if wanted == ABSENT:
        return item is None and other is None
    return item == other


def _cut(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def of_manifest(manifest: RunManifest) -> dict[str, ComparedFact]:
    """What run.json knows. Options are compared by a digest, as they may hold secrets, and are never shown."""
    one, shard = manifest, manifest.shard
    suite = f"{one.suite} {one.suite_version}"
    return of_target(one.target) | {
        "run": ComparedFact((one.created, one.target.name, one.name), one.name),
        "moment": ComparedFact(one.created, one.created),
        "suite": ComparedFact(one.suite, suite),
        "version": ComparedFact(one.suite_version, suite),
        "content": ComparedFact(one.suite_digest, f"{suite} {one.suite_digest[:8]}"),
        "definition": ComparedFact(one.definition.name, one.definition.name),
        "counting": ComparedFact(one.definition_digest, f"{one.definition.name} {one.definition_digest[:8]}"),
        "judges": ComparedFact(one.primary),
        "seed": ComparedFact(one.seed, _cut(one.seed)),
        "shard": ComparedFact(shard, str(shard or "the whole plan")),
        "shards": ComparedFact(shard.count if shard else None, str(shard.count) if shard else ""),
        "stopping": ComparedFact((one.stopping.policy, one.stopping.baseline) if one.stopping else None),
        "labels": ComparedFact(one.labels),
    }


def of_provenance(source: Provenance) -> dict[str, ComparedFact]:
    """What is printed with numbers, and kept in a baseline file: no seed, no host and no label that would count."""
    name = source.definition
    known = {} if source.target_options is None else {"options": ComparedFact(source.target_options)}
    return known | {
        "headers": ComparedFact(source.target_headers),
        "run": ComparedFact((source.created, source.target, source.run) if source.created else None, source.run),
        "suite": ComparedFact(source.suite, f"{source.suite} {source.suite_digest[:8]}"),
        "content": ComparedFact(source.suite_digest, f"{source.suite} {source.suite_digest[:8]}"),
        "definition": ComparedFact(name, name),
        "counting": ComparedFact(source.definition_digest, f"{name} {source.definition_digest[:8]}"),
        "judges": ComparedFact(source.graders),
        "target": ComparedFact(source.target, source.target),
    }


def unknown(names: str, difference: RunDifference) -> Warned:
    """That a field cannot be compared."""
    text = f"{names}: not both say their {difference.words}, so that nothing shows that they are the same"
    return Warned(id="not-compared", text=text)


def of_target(target: TargetInfo) -> dict[str, ComparedFact]:
    """What is known of the target. A run.json that has no word of options says nothing about them."""
    options = options_digest(target)
    known = {} if options is None else {"options": ComparedFact(options)}
    return known | {
        "headers": ComparedFact(headers_digest(target)),
        "target": ComparedFact(target.name, target.name),
        "host": ComparedFact(target.host, target.host or "none"),
    }


def options_digest(target: TargetInfo) -> str | None:
    """16 hexadecimal digits; None where run.json has no word of options."""
    return digest(target.options) if "options" in target.model_fields_set else None


def headers_digest(target: TargetInfo) -> str | None:
    """16 hexadecimal digits; None where no extra headers were sent, as in every run.json that has no word of them."""
    return digest(target.headers.model_dump(mode="json")) if target.headers else None


class PlanDifference(NamedTuple):
    """How two plans differ: the fields of TABLE and of the plan, of how many prompts, and one of them."""

    fields: tuple[str, ...]
    names: tuple[str, ...]
    prompts: int
    first: str


def of_plans(use: Use, prompts: Sequence[PlannedPrompt], other: Sequence[PlannedPrompt]) -> PlanDifference | None:
    """In what two plans differ, cell by cell, of all that is not free for this use; None where in nothing."""
    ours, theirs = ({prompt.cell: prompt for prompt in plan} for plan in (prompts, other))
    if only := sorted(ours.keys() ^ theirs.keys()):
        return PlanDifference(("prompts",), (), len(only), _named(only[0]))
    names = {name: field for name, field in OF_PROMPT.items() if answer(use, field) != FREE}
    pairs = {at: (ours[at], theirs[at]) for at in ours}
    changed = [at for at, pair in pairs.items() if any(_is_other(name, *pair) for name in names)]
    if changed:
        found = [name for name in PlannedPrompt.model_fields if name in names]
        found = [name for name in found if any(_is_other(name, *pairs[at]) for at in changed)]
        return PlanDifference(
            tuple(dict.fromkeys(names[name] for name in found)), tuple(found), len(changed), _named(changed[0])
        )
    if answer(use, "order") == EQUAL and list(ours) != list(theirs):
        return PlanDifference(("order",), (), len(ours), _named(next(iter(ours))))
    return None


def _is_other(name: str, prompt: PlannedPrompt, other: PlannedPrompt) -> bool:
    return bool(getattr(prompt, name) != getattr(other, name))


def _named(at: CellKey) -> str:
    return "/".join(map(str, at))


# Caveats of a comparison: differences between two runs other than the model.


FAR_APART = timedelta(days=1)
MOST_NAMES = 5


def refuse_definitions(before: Provenance, after: Provenance) -> None:
    """Raise UsageError unless both runs are counted alike."""
    found = list(differences("compare", of_provenance(before), of_provenance(after)))
    if any(refusal.field in {"definition", "counting"} for refusal in refusals(found)):
        names = f"`{before.definition}` ({before.run}) and `{after.definition}` ({after.run})"
        raise UsageError(f"the runs count differently: {names}. Choose one for both with --definition NAME")


def nothing_shared(before: Provenance, after: Provenance) -> str:
    """Why two runs without a common prompt cannot be compared."""
    suites = f"{before.run} asked {_suite(before)}, {after.run} asked {_suite(after)}"
    return f"the runs share no prompt: {suites}. Compare runs of the same suite"


def of_runs(before: Provenance, after: Provenance, paired: Paired) -> Iterator[Warned]:
    """Everything that differs and is known."""
    for field in TABLE:
        if answer("compare", field) == TOLD:
            yield from _TELLERS[field](before, after, paired)
    same = (before.target, before.target_name) == (after.target, after.target_name)
    if same and before.host == after.host and before.labels == after.labels:
        yield Warned(id="same-target", text=f"both runs asked the same target: {after.target}")


def _suites(before: Provenance, after: Provenance, _: Paired) -> Iterator[Warned]:
    if before.suite_digest != after.suite_digest:
        text = f"the suites differ: {_suite(before)} before, {_suite(after)} after; only shared prompts are compared"
        yield Warned(id="suite-differs", text=text)


def _set(field: str, before: Provenance, after: Provenance, _: Paired) -> Iterator[Warned]:
    """Another model may need other options, so that the reader decides what they mean."""
    names = f"{before.run} and {after.run}"
    for difference in differences("compare", *(of_provenance(source) for source in (before, after))):
        if difference.field == field and difference.known:
            text = f"{names} differ in their {difference.words} (the values are not shown)"
            yield Warned(id="runs-differ", text=f"{text}: the change may be theirs")
        elif difference.field == field:
            yield unknown(names, difference)


def _suite(source: Provenance) -> str:
    return f"{source.suite} {source.suite_version} ({source.suite_digest[:8]})"


def _judges(before: Provenance, after: Provenance, _: Paired) -> Iterator[Warned]:
    for grader in sorted(before.graders.keys() & after.graders.keys()):
        one, other = before.graders[grader], after.graders[grader]
        if one != other:
            text = f"grader {grader} is another one after ({grader}@{other}) than before ({grader}@{one})"
            fix = "the difference mixes judge and model: `regrade` with one judge, or choose with --use-judge"
            yield Warned(id="judge-differs", text=f"{text}; {fix}")
    if before.judge != after.judge:
        text = f"the judges differ: {before.judge or 'none'} before, {after.judge or 'none'} after"
        yield Warned(id="judge-differs", text=text)


def _unpaired(_: Provenance, __: Provenance, paired: Paired) -> Iterator[Warned]:
    for side, cells in (("before", paired.only_before), ("after", paired.only_after)):
        if cells:
            text = f"{len(cells)} prompts were asked only in the run {side} and are left out: {_probes(cells)}"
            yield Warned(id="unpaired", text=text)


def _by_name(_: Provenance, __: Provenance, paired: Paired) -> Iterator[Warned]:
    unknown = sum(not cell.prompt.messages for cell in paired.after)
    if unknown:
        text = f"{unknown} of {len(paired.after)} shared prompts are paired by the id of their probe"
        yield Warned(
            id="paired-by-id", text=f"{text}: their words are not known, so that nothing shows they are the same"
        )


def _probes(cells: Sequence[Cell]) -> str:
    names = list(dict.fromkeys(cell.prompt.probe for cell in cells))
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _sampling(_: Provenance, __: Provenance, paired: Paired) -> Iterator[Warned]:
    found: Counter[str] = Counter()
    for item, other in zip(paired.before, paired.after, strict=True):
        for name in Sampling.model_fields:
            a, b = getattr(item.prompt.sampling, name), getattr(other.prompt.sampling, name)
            if a != b:
                found[f"{name} {_setting(a)} before, {_setting(b)} after"] += 1
    for what, prompts in sorted(found.items()):
        text = f"sampling differs: {what} ({prompts} of {len(paired.after)} shared prompts)"
        yield Warned(id="sampling-differs", text=text)


def _setting(value: object) -> str:
    return "not set" if value is None else str(value)


def _dates(before: Provenance, after: Provenance, _: Paired) -> Iterator[Warned]:
    try:
        apart = abs(datetime.fromisoformat(after.created) - datetime.fromisoformat(before.created))
    except (ValueError, TypeError):  # a run of unknown date, or one without a time zone: nothing to say
        return
    if apart > FAR_APART:
        text = f"the runs were started {apart.days} days apart; a model behind an API may have changed by itself"
        yield Warned(id="dates-differ", text=f"{text}. `run --target A --target B` collects them interleaved")


# What says each field that the table has told; the order of the table is that of the warnings.
_TELLERS: dict[str, Callable[[Provenance, Provenance, Paired], Iterator[Warned]]] = {
    "moment": _dates,
    "content": _suites,
    "options": partial(_set, "options"),
    "headers": partial(_set, "headers"),
    "judges": _judges,
    "prompts": _unpaired,
    "asked": _by_name,
    "sampling": _sampling,
}
