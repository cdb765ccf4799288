"""What may differ between two runs that are used together: one table, with one answer for each field and use.

Every function that takes two runs reads its answers here. What a use does not know of a run, as an older folder or
baseline file does not say it, is neither equal nor different: it is told.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from misalign_eval.records.analysis import Provenance, Warned
from misalign_eval.records.digest import digest
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.run import RunManifest, TargetInfo

Answer = Literal["equal", "unlike", "absent", "told", "free"]
Use = Literal["resume", "merge", "pool", "baseline", "compare"]
EQUAL: Final = "equal"  # must be equal
UNLIKE: Final = "unlike"  # must not be equal; what neither run has is no match
ABSENT: Final = "absent"  # must not be there in what is joined, or compared with
TOLD: Final = "told"  # may differ, and is said
FREE: Final = "free"  # may differ
LONGEST = 40  # characters of a value in a message


class Row(NamedTuple):
    """What a field is called, with {} for the name of what differs in a mapping, and the answer of each use."""

    words: str
    resume: Answer
    merge: Answer
    pool: Answer
    baseline: Answer
    compare: Answer


TABLE: Final[Mapping[str, Row]] = {
    # field             in words               resume merge   pool    baseline compare
    "run": Row("the run itself", FREE, FREE, UNLIKE, UNLIKE, FREE),
    "suite": Row("suite", EQUAL, EQUAL, EQUAL, EQUAL, FREE),
    "version": Row("suite", EQUAL, EQUAL, FREE, FREE, FREE),  # where FREE, the content decides
    "content": Row("suite", FREE, EQUAL, EQUAL, EQUAL, TOLD),  # where FREE, all that is planned is compared
    "target": Row("target", EQUAL, EQUAL, EQUAL, FREE, FREE),
    "options": Row("target options", EQUAL, EQUAL, EQUAL, TOLD, TOLD),
    "headers": Row("request headers", EQUAL, EQUAL, EQUAL, TOLD, TOLD),
    "host": Row("host", FREE, FREE, TOLD, FREE, FREE),  # a server that moved is the same model
    "definition": Row("definition", EQUAL, EQUAL, FREE, FREE, FREE),  # its name; where FREE, the content decides
    "counting": Row("definition", EQUAL, EQUAL, EQUAL, EQUAL, EQUAL),
    "judges": Row("judge of `{}`", EQUAL, EQUAL, EQUAL, EQUAL, TOLD),
    "seed": Row("seed", EQUAL, EQUAL, UNLIKE, FREE, FREE),
    "shard": Row("shard", EQUAL, FREE, EQUAL, FREE, FREE),
    "shards": Row("number of shards", FREE, EQUAL, FREE, FREE, FREE),
    "stopping": Row("the stopping rule", EQUAL, ABSENT, ABSENT, ABSENT, FREE),
    "labels": Row("label {}", FREE, EQUAL, TOLD, FREE, FREE),
    "prompts": Row("the prompts planned", EQUAL, EQUAL, EQUAL, EQUAL, TOLD),
    "asked": Row("what is asked", EQUAL, EQUAL, EQUAL, EQUAL, TOLD),  # the words, by which baselines and compare pair
    "sampling": Row("sampling", EQUAL, EQUAL, EQUAL, EQUAL, TOLD),
    "moment": Row("the moment of the start", FREE, FREE, UNLIKE, FREE, TOLD),
    "planned": Row("what is planned beside", TOLD, EQUAL, FREE, FREE, FREE),  # graders, criteria, categories …
    "samples": Row("samples", FREE, EQUAL, FREE, FREE, FREE),
    "order": Row("the order of the prompts planned", FREE, EQUAL, FREE, FREE, FREE),
    "tool": Row("the program", FREE, FREE, FREE, FREE, FREE),  # versions, commit, files, names, how a plan was chosen
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


class Fact(NamedTuple):
    """What a run has in a field, and how a message shows it; "" where it may hold a secret or is too long."""

    value: object
    shown: str = ""


Facts = Mapping[str, Fact]  # by the fields of TABLE; what is not known is not there


class Difference(NamedTuple):
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
    found: Answer = getattr(TABLE[field], use)
    return found


def differences(use: Use, one: Facts, other: Facts) -> Iterator[Difference]:
    """Every field that is not as the use wants it, in the order of the table, and each word once.

    A field that one of them does not know comes with `known` false; one that neither knows is not looked at here.
    """
    seen: set[str] = set()
    for field, row in TABLE.items():
        wanted = answer(use, field)
        if wanted == FREE or row.words in seen or (field not in one and field not in other):
            continue
        if field not in one or field not in other:
            yield Difference(field, wanted, row.words.replace("{}", "…"), known=False)
            continue
        for found in _difference(field, wanted, row.words, one[field], other[field]):
            seen.add(row.words)
            yield found


def refusals(found: Sequence[Difference]) -> list[Difference]:
    """Those that a use does not go on with."""
    return [one for one in found if one.known and one.answer != TOLD]


def _difference(field: str, wanted: Answer, words: str, one: Fact, other: Fact) -> Iterator[Difference]:
    if _holds(wanted, one.value, other.value):
        return
    if isinstance(one.value, Mapping) and isinstance(other.value, Mapping):
        for name in {**one.value, **other.value}:
            a, b = one.value.get(name), other.value.get(name)
            if a != b:
                yield Difference(field, wanted, words.format(name), _cut(a), _cut(b))
    else:
        yield Difference(field, wanted, words, one.shown, other.shown)


def _holds(wanted: Answer, one: object, other: object) -> bool:
    if wanted == UNLIKE:
        return one is None or one != other
    if wanted == ABSENT:
        return one is None and other is None
    return one == other


def _cut(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def of_manifest(manifest: RunManifest) -> dict[str, Fact]:
    """What run.json knows. Options are compared by a digest, as they may hold secrets, and are never shown."""
    one, shard = manifest, manifest.shard
    suite = f"{one.suite} {one.suite_version}"
    return of_target(one.target) | {
        "run": Fact((one.created, one.target.name, one.name), one.name),
        "moment": Fact(one.created, one.created),
        "suite": Fact(one.suite, suite),
        "version": Fact(one.suite_version, suite),
        "content": Fact(one.suite_digest, f"{suite} {one.suite_digest[:8]}"),
        "definition": Fact(one.definition.name, one.definition.name),
        "counting": Fact(one.definition_digest, f"{one.definition.name} {one.definition_digest[:8]}"),
        "judges": Fact(one.primary),
        "seed": Fact(one.seed, _cut(one.seed)),
        "shard": Fact(shard, str(shard or "the whole plan")),
        "shards": Fact(shard.count if shard else None, str(shard.count) if shard else ""),
        "stopping": Fact((one.stopping.policy, one.stopping.baseline) if one.stopping else None),
        "labels": Fact(one.labels),
    }


def of_provenance(source: Provenance) -> dict[str, Fact]:
    """What is printed with numbers, and kept in a baseline file: no seed, no host and no label that would count."""
    name = source.definition
    known = {} if source.target_options is None else {"options": Fact(source.target_options)}
    return known | {
        "headers": Fact(source.target_headers),
        "run": Fact((source.created, source.target, source.run) if source.created else None, source.run),
        "suite": Fact(source.suite, f"{source.suite} {source.suite_digest[:8]}"),
        "content": Fact(source.suite_digest, f"{source.suite} {source.suite_digest[:8]}"),
        "definition": Fact(name, name),
        "counting": Fact(source.definition_digest, f"{name} {source.definition_digest[:8]}"),
        "judges": Fact(source.graders),
        "target": Fact(source.target, source.target),
    }


def unknown(names: str, found: Difference) -> Warned:
    """That a field cannot be compared."""
    text = f"{names}: not both say their {found.words}, so that nothing shows that they are the same"
    return Warned(id="not-compared", text=text)


def of_target(target: TargetInfo) -> dict[str, Fact]:
    """What is known of the target. A run.json that has no word of options says nothing about them."""
    options = options_digest(target)
    known = {} if options is None else {"options": Fact(options)}
    return known | {
        "headers": Fact(headers_digest(target)),
        "target": Fact(target.name, target.name),
        "host": Fact(target.host, target.host or "none"),
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


def of_plans(use: Use, one: Sequence[PlannedPrompt], other: Sequence[PlannedPrompt]) -> PlanDifference | None:
    """In what two plans differ, cell by cell, of all that is not free for this use; None where in nothing."""
    ours, theirs = ({cell(prompt): prompt for prompt in plan} for plan in (one, other))
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


def _is_other(name: str, one: PlannedPrompt, other: PlannedPrompt) -> bool:
    return bool(getattr(one, name) != getattr(other, name))


def cell(prompt: PlannedPrompt) -> tuple[str, int, str]:
    """The name of a prompt in its plan."""
    return prompt.probe, prompt.prompt, prompt.variant


def _named(at: tuple[str, int, str]) -> str:
    return "/".join(map(str, at))
