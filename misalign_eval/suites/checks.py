"""Checks of a suite beyond the types of its fields. One pass collects every fault; none raises."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from misalign_eval.errors import did_you_mean
from misalign_eval.records.markup import mark_left, without_markup
from misalign_eval.records.suite import PLAIN, REPLY_MARK, RuleSpec
from misalign_eval.suites import sources as suite_sources
from misalign_eval.suites.schema import InlineRule, ScriptedTurn
from misalign_eval.suites.sources import BUILT_IN, ExternalNames, SuiteEntry, SuiteSource
from misalign_eval.yaml_source.validate import YamlFault


def of_probe(entry: SuiteEntry, known: ExternalNames, variants: set[str]) -> Iterator[YamlFault]:
    """The faults of one probe."""
    yield from _category(entry)
    yield from _form(entry)
    yield from _prompts(entry)
    yield from _conversation(entry)
    yield from _context(entry)
    yield from _derived(entry)
    yield from _expectation(entry)
    yield from _graders(entry, known)
    yield from _variants(entry, sorted(variants | BUILT_IN.keys()))


def duplicate_ids(entries: list[SuiteEntry]) -> Iterator[tuple[SuiteEntry, YamlFault]]:
    """Ids that an earlier probe, of this or of another file, already has."""
    first: dict[str, SuiteEntry] = {}
    for entry in entries:
        earlier = first.setdefault(entry.probe.id, entry)
        if earlier is not entry:
            document = earlier.source.document
            place = f"{document.file}:{document.line_of((*earlier.loc, 'id'))}"
            what = f"`{entry.probe.id}` is already the id of the probe at {place}"
            yield entry, entry.source.fault((*entry.loc, "id"), what, "Ids name probes in results: choose another.")


def _category(entry: SuiteEntry) -> Iterator[YamlFault]:
    if suite_sources.apply_defaults(entry, "category") is None:
        fix = "Say what the probe is about, here or in `defaults`."
        yield entry.source.fault((*entry.loc, "category"), "a probe needs a category", fix)


def _form(entry: SuiteEntry) -> Iterator[YamlFault]:
    has = [name for name in ("prompts", "messages") if getattr(entry.probe, name) is not None]
    if len(has) == 2:
        what = "a probe has `prompts` or `messages`, not both"
        yield entry.source.fault((*entry.loc, "messages"), what, "Make two probes of it.")
    if not has:
        fix = "Write the question under `prompts`."
        yield entry.source.fault((*entry.loc, "prompts"), "a probe needs `prompts` or `messages`", fix)


def _prompts(entry: SuiteEntry) -> Iterator[YamlFault]:
    seen: dict[str, int] = {}
    for index, text in enumerate(entry.probe.prompts or ()):
        loc = (*entry.loc, "prompts", index)
        first = seen.setdefault(" ".join(text.split()), index)
        if first != index:
            yield entry.source.fault(loc, f"the same text as prompts[{first}]", "Reword it, or take it away.")
        if REPLY_MARK in text:
            yield entry.source.fault(loc, f"`{REPLY_MARK}` has a meaning only in `messages`", "Take it away.")


def _conversation(entry: SuiteEntry) -> Iterator[YamlFault]:
    turns = entry.probe.messages or ()
    for index, turn in enumerate(turns):
        for what, fix in _turn(turn, turns[index - 1] if index else None):
            yield entry.source.fault((*entry.loc, "messages", index), what, fix)
    if turns and (at_end := _end(turns[-1])) is not None:
        yield entry.source.fault((*entry.loc, "messages", len(turns) - 1), *at_end)


def _end(last: ScriptedTurn) -> tuple[str, str] | None:
    """What is wrong with the last turn: a user's is answered, the words of an assistant's are continued."""
    if last.role == "user":
        return None
    if last.content == REPLY_MARK:
        return f"`{REPLY_MARK}` at the end", "The target answers there anyway: take the turn away."
    if mark_left(last.content) is not None or without_markup(last.content).text != last.content:
        return "a prefill with markup of reasoning or of a chat template", "Only the words of an answer are continued."
    return None


def _turn(turn: ScriptedTurn, before: ScriptedTurn | None) -> Iterator[tuple[str, str]]:
    if before is None and turn.role == "assistant":
        yield "a conversation begins with a user turn", "Add one; a system prompt goes under `system`."
    if before is not None and before.role == turn.role:
        yield f"two {turn.role} turns in a row", "Join them, or put the other side's turn between."
    if REPLY_MARK in turn.content and turn.role == "user":
        yield f"`{REPLY_MARK}` in a user turn", "The target answers in assistant turns."
    elif REPLY_MARK in turn.content and turn.content != REPLY_MARK:
        yield f"`{REPLY_MARK}` among other words", "The target's answer is a turn of its own: leave only the mark."


def _context(entry: SuiteEntry) -> Iterator[YamlFault]:
    turns = entry.probe.context or ()
    if turns and entry.probe.prompts is None:
        fix = "Write the whole conversation under `messages`."
        yield entry.source.fault((*entry.loc, "context"), "`context` goes with `prompts`", fix)
    for index, turn in enumerate(turns):
        for what, fix in _turn(turn, turns[index - 1] if index else None):
            yield entry.source.fault((*entry.loc, "context", index), what, fix)
    if turns and turns[-1].role != "assistant":
        loc = (*entry.loc, "context", len(turns) - 1)
        yield entry.source.fault(loc, "two user turns in a row: the prompt is the next", "End with an assistant turn.")


def _derived(entry: SuiteEntry) -> Iterator[YamlFault]:
    """A probe that is itself a form has no forms of its own."""
    if entry.probe.form not in (None, PLAIN) and suite_sources.variants(entry):
        fix = "Name them at the probe that it is derived from."
        yield entry.source.fault((*entry.loc, "form"), "a probe with a `form` has no `variants`", fix)


def _expectation(entry: SuiteEntry) -> Iterator[YamlFault]:
    split, expect = suite_sources.apply_defaults(entry, "split") or "broad", entry.probe.expect
    if split == "control" and expect is None:
        fix = "Write `expect: low` or `expect: high`."
        yield entry.source.fault((*entry.loc, "expect"), "a control says which rate it expects", fix)
    if split != "control" and expect is not None:
        fix = "Take it away, or set `split: control`."
        yield entry.source.fault((*entry.loc, "expect"), f"only a control has `expect`; this probe is {split}", fix)


def _graders(entry: SuiteEntry, known: ExternalNames) -> Iterator[YamlFault]:
    items = suite_sources.graders(entry)
    if not items:
        fix = "Name at least one, here or in `defaults`."
        yield entry.source.fault((*entry.loc, "graders"), "a probe without a grader", fix)
    own = {item.name for item in items if isinstance(item, InlineRule) and item.name is not None}
    own |= set(entry.source.suite.judges)
    for index, item in enumerate(items):
        loc = place_of(entry, "graders", index)
        if isinstance(item, InlineRule):
            yield from _inline(entry, loc, item, known)
        elif item not in known.graders and item not in own:
            hint = did_you_mean(item, [*known.graders, *own])
            yield entry.source.fault(loc, f"unknown grader `{item}`", hint)
        elif item in known.rules and item not in own:
            yield from _options(entry, loc, RuleSpec(rule=item), known)


def _inline(
    entry: SuiteEntry, loc: tuple[str | int, ...], item: InlineRule, known: ExternalNames
) -> Iterator[YamlFault]:
    if item.rule not in known.rules:
        hint = did_you_mean(item.rule, list(known.rules))
        yield entry.source.fault((*loc, "rule"), f"unknown rule `{item.rule}`", hint)
        return
    if item.name is not None and item.name in known.graders:
        what = f"`{item.name}` is already the name of a grader"
        yield entry.source.fault((*loc, "name"), what, "Choose another.")
    yield from _options(entry, loc, RuleSpec(rule=item.rule, options=item.options), known)


def _options(
    entry: SuiteEntry, loc: tuple[str | int, ...], rule: RuleSpec, known: ExternalNames
) -> Iterator[YamlFault]:
    """What the rule itself says of its options, at the line of the option."""
    for problem in known.check_rule(rule):
        key = re.split(r"[.\[]", problem.where, maxsplit=1)[0]
        here = entry.source.fault((*loc, key) if key else loc, problem.what, problem.fix)
        rest = problem.where[len(key) :]
        yield replace(here, problem=replace(here.problem, where=here.problem.where + rest))


def _variants(entry: SuiteEntry, known: list[str]) -> Iterator[YamlFault]:
    for index, name in enumerate(suite_sources.variants(entry)):
        if name not in known:
            loc = place_of(entry, "variants", index)
            yield entry.source.fault(loc, f"unknown variant `{name}`", did_you_mean(name, known))


def place_of(entry: SuiteEntry, field: str, *below: int) -> tuple[str | int, ...]:
    """Where a list or an item of it is written: in the probe, or in the defaults of its file."""
    return (*(entry.loc if field in entry.probe.model_fields_set else ("defaults",)), field, *below)


def of_controls(head: SuiteSource, entries: Sequence[SuiteEntry]) -> Iterator[YamlFault]:
    """Written replies to a probe that is not there, or whose question is not one turn; ids that are there twice.

    Those of included files are about the definitions of those files, and are not taken.
    """
    probes = {entry.probe.id: entry.probe for entry in entries}
    seen = set(probes)
    for index, control in enumerate(head.suite.judge_controls):
        loc = ("judge_controls", index)
        if control.id in seen:
            yield head.fault((*loc, "id"), f"`{control.id}` is a name already", "Choose another.")
        seen.add(control.id)
        asked = probes.get(control.probe)
        if asked is None:
            hint = did_you_mean(control.probe, list(probes))
            yield head.fault((*loc, "probe"), f"there is no probe `{control.probe}` in this suite", hint)
        elif control.prompt is None and any(turn.content == REPLY_MARK for turn in asked.messages or ()):
            what = f"probe `{control.probe}` holds answers of the target that are not written here"
            yield head.fault((*loc, "probe"), what, "Add a `prompt` of one turn.")
