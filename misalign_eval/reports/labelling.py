"""What a labeller sees: a reply with what was asked, nothing of model, run, judge or verdict; and how far they are."""

import json
from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent

from pydantic import JsonValue

from misalign_eval.records.definition import Definition
from misalign_eval.records.label import Agreed, Labelling
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.reply import Reply
from misalign_eval.records.suite import REPLY_MARK
from misalign_eval.reports import numbers
from misalign_eval.reports.escape import markdown, one_line, plain
from misalign_eval.reports.fitting import MARGIN

RULE = "-" * 72


def item(prompt: PlannedPrompt, reply: Reply, parts: frozenset[str], *, done: int, drawn: int) -> str:
    """One reply to label: of it, and beside it, those `parts` that its graders see. Foreign text is escaped."""
    lines = [f"{RULE[:50]} {done + 1} of {drawn}", *_asked(prompt, reply), *_answered(prompt, reply, parts)]
    return "\n".join(["", *lines]) + "\n"


def _asked(prompt: PlannedPrompt, reply: Reply) -> Iterator[str]:
    if prompt.system is not None:
        yield from _turn("system prompt", prompt.system)
    earlier = iter(reply.earlier)
    for message in prompt.turns:
        is_answer = message.content == REPLY_MARK
        content = next(earlier, "(not answered)") if is_answer else message.content
        yield from _turn("earlier answer" if is_answer else "question", content)


def _answered(prompt: PlannedPrompt, reply: Reply, parts: frozenset[str]) -> Iterator[str]:
    if "reasoning" in parts:
        yield from _turn("reasoning", reply.reasoning or "(none)")
    if "reply" in parts or "reasoning" not in parts:
        if prompt.prefill is not None and reply.whole(prompt) != reply.text:
            yield from _turn("beginning of the reply, given to the model", prompt.prefill)
        yield from _turn("reply" if prompt.prefill is None else "how the model went on", reply.text or "")
    if prompt.reference is not None and "reference" in parts:
        yield from _turn("the right answer", _words(prompt.reference))
    if prompt.criteria:
        yield from _turn("what counts here", prompt.criteria)


def _words(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def meaning(definition: Definition) -> str:
    """What the definition says of itself. A user's file is foreign text, too."""
    return f"{MARGIN}{one_line(definition.description)}\n"


def _turn(name: str, content: str) -> Iterator[str]:
    yield f"{name}:"
    yield indent(plain(content), MARGIN, lambda _: True)


def keys(scale: Mapping[str, str], commands: Mapping[str, str]) -> str:
    """`[m] misaligned  [a] aligned …`, and the commands below."""
    labels = "  ".join(f"[{key}] {name.replace('_', ' ')}" for name, key in scale.items())
    others = "  ".join(f"[{key}] {name}" for key, name in commands.items())
    return f"{labels}\n{others}\n"


def text(found: Labelling) -> str:
    """How far the labeller has come, and how well all labellers agree.

    What the labels are is shown when all are given: before, it could tell a labeller which of the runs is the bad one.
    """
    lines = [f"labeller {found.labeller}"]
    for run in found.runs:
        given = _given(run.labels) if run.labels is not None else "the labels are shown when all are given"
        lines.append(f"  {one_line(run.run)}: {run.labelled} labelled ({given}), {run.left} left of {run.drawn}")
    lines += [""] if found.agreement else []
    lines += [f"  {line}" for line in agreement(found.agreement)]
    return "\n".join([*lines, *([f"next: {one_line(found.next)}"] if found.next else [])]) + "\n"


def page(found: Labelling) -> str:
    """The same as Markdown."""
    rows = [
        f"| {markdown(run.run)} | {run.labelled} | {run.left} | {_given(run.labels or {}) or '-'} |"
        for run in found.runs
    ]
    head = [f"# Labels of {markdown(found.labeller)}", "", "| run | labelled | left | labels |", "|---|---:|---:|---|"]
    more = ["", *(f"- {markdown(line)}" for line in agreement(found.agreement))] if found.agreement else []
    return "\n".join([*head, *rows, *more]) + "\n"


def _given(labels: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in labels.items() if count)


def agreement(pairs: Sequence[Agreed]) -> list[str]:
    """`anna and ben agree on 95 % [83.1, 99.4] of 40 replies (kappa 0.89, AC1 0.91, alpha 0.89)`."""
    return [
        f"{pair.one} and {pair.other} agree on {_share(pair)} of {pair.n} replies, misaligned or not "
        f"(kappa {number(pair.kappa)}, AC1 {number(pair.ac1)}, alpha {number(pair.alpha)})"
        for pair in pairs
    ]


def _share(pair: Agreed) -> str:
    if pair.agreement is None:
        return "none"
    ends = numbers.interval(pair.agreement_interval.low, pair.agreement_interval.high)
    return f"{numbers.percent(pair.agreement)} % {ends}"


def number(value: float | None) -> str:
    """A coefficient with two digits, or `degenerate`.

    >>> number(0.25028), number(None)
    ('0.25', 'degenerate')
    """
    return "degenerate" if value is None else f"{value:.2f}"
