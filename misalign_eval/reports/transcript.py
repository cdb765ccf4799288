"""Transcripts: one reply with its conversation and grades, for pages and for the label screen."""

import json
from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent

from pydantic import JsonValue

from misalign_eval.records.definition import Definition
from misalign_eval.records.findings import Warned
from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.labels import Agreed, Labelling
from misalign_eval.records.run import Failure, PlannedPrompt, Reply
from misalign_eval.records.suite import REPLY_MARK
from misalign_eval.records.summary import ReplyExample
from misalign_eval.reports import numbers
from misalign_eval.reports.backends.terminal import MARGIN, wrap_cells
from misalign_eval.reports.escape import NO_TEXT, NO_WORDS, markdown, one_line, plain

# Full transcript as text. All of it is hostile and escaped.


def transcript_text(
    examples: Sequence[ReplyExample],
    matching: int,
    offset: int = 0,
    width: int | None = None,
    warnings: Sequence[Warned] = (),
) -> str:
    """Every reply in turn, what is wrong with the files that they stand in, and how many were not shown.

    `width`: columns of the screen. Longer lines are broken here, since a screen would go on without the margin.
    """
    blocks = ["\n".join(_lines(example)) for example in examples]
    blocks += [one_line(f"! {warning.text} ({warning.id})") for warning in warnings]
    blocks.append(f"{_which(len(examples), matching, offset)} matching replies{_more(len(examples), matching, offset)}")
    return wrap_cells("\n\n".join(blocks) + "\n", width)


def _which(shown: int, matching: int, offset: int) -> str:
    return f"{offset + 1} to {offset + shown} of {matching}" if offset and shown else f"{shown} of {matching}"


def _more(shown: int, matching: int, offset: int) -> str:
    """How to see the others."""
    if offset + shown < matching:
        return f": --limit shows more, --offset {offset + shown} the next"
    return f": --offset {offset} is past the last" if offset and not shown else ""


def _lines(example: ReplyExample) -> Iterator[str]:
    row, prompt = example.row, example.prompt
    yield f"=== {one_line(str(row.key))}  {example.outcome}  ({one_line(prompt.category)}, {prompt.split})"
    if prompt.system is not None:
        yield from _turn_text("system", prompt.system)
    if not prompt.messages:
        yield from _turn_text("user", NO_WORDS)
    earlier = iter(row.earlier if isinstance(row, Reply) else ())
    for message in prompt.turns:
        content = next(earlier, "(not answered)") if message.content == REPLY_MARK else message.content
        yield from _turn_text(message.role, content)
    if prompt.prefill is not None:
        yield from _turn_text("assistant (prefill)", prompt.prefill)
    yield from _answer(row)
    for grader, grade in example.grades.items():
        yield from _grade(grader, grade)


def _answer(row: Reply | Failure) -> Iterator[str]:
    if isinstance(row, Failure):
        yield from _turn_text(f"failure ({row.reason}, {row.attempts} attempts)", row.message)
        return
    if row.reasoning:
        yield from _turn_text("reasoning", row.reasoning)
    yield from _turn_text(f"reply{_begun(row)}{_ended(row)}", NO_TEXT if row.text is None else row.text)
    for call in row.calls:
        yield from _turn_text(f"call of `{one_line(call.name)}`", call.arguments)
    if row.leaked is not None:
        yield from _turn_text("cut off after the end of the turn", row.leaked)
    if row.refusal:
        yield from _turn_text("refusal by the provider", row.refusal)


def _begun(row: Reply) -> str:
    """What became of the prefill, where it is known."""
    return f", after the prefill ({', '.join(map(one_line, row.prefilled))})" if row.prefilled else ""


def _ended(row: Reply) -> str:
    """How the reply ended, where it did not simply stop; a word that is not known stands as the server said it."""
    if row.finish == "stop":
        return ""
    said = f", says the server: {one_line(row.finish_word)}" if row.finish_word else ""
    return f" (finish: {row.finish}{said})"


def _grade(grader: str, grade: Graded | Ungraded) -> Iterator[str]:
    name = one_line(grader)
    if isinstance(grade, Ungraded):
        yield f"{name}: not graded ({grade.reason}): {one_line(grade.message)}"
    else:
        found = one_line(grade.label or "") if grade.score is None else f"{grade.score:.1f}"
        why = f" - {one_line(grade.why)}" if grade.why else ""
        yield f"{name}: {found}{why}"
    if grade.raw:
        yield from _turn_text(f"{name} in the judge's words", grade.raw)
    for vote in grade.votes:
        said = one_line(vote.label or "none") if vote.score is None else f"{vote.score:.1f}"
        yield f"{name} by {one_line(vote.judge)}: {said}"


def _turn_text(speaker: str, content: str) -> Iterator[str]:
    yield f"{speaker}:"
    yield indent(plain(content), MARGIN, lambda _: True)


# Excerpt in a few lines, for test reports: prompt, reply and grades.


EXCERPT = 1000  # characters
WHY = 500


def shown(example: ReplyExample) -> Iterator[str]:
    """Its key, the last question, the beginning of the reply, and every grade with the judge's reason."""
    row, messages, prefill = example.row, example.prompt.turns, example.prompt.prefill
    yield f"{one_line(str(row.key))}: {example.outcome}"
    yield from _quoted("asked", messages[-1].content if messages else NO_WORDS)
    if prefill is not None:
        yield from _quoted("prefill", prefill)
    if isinstance(row, Failure):
        yield from _quoted(f"failed ({row.reason}, {row.attempts} attempts)", row.message)
    else:
        yield from _quoted("replied", NO_TEXT if row.text is None else row.text)
    for grader, grade in example.grades.items():
        yield f"{one_line(grader)}: {_said(grade)}"


def _quoted(speaker: str, text: str) -> Iterator[str]:
    cut = text if len(text) <= EXCERPT else f"{text[:EXCERPT]}..."
    yield f"{speaker}:"
    yield indent(plain(cut), MARGIN, lambda _: True)


def _is_number(words: str) -> bool:
    """A judge that was read by its log-probabilities says no more than a number, often another than their mean."""
    return words.strip().isdecimal()


def _said(grade: Graded | Ungraded) -> str:
    if isinstance(grade, Ungraded):
        return f"not graded ({grade.reason}): {one_line(grade.message, WHY)}"
    found = one_line(grade.label or "", WHY) if grade.score is None else f"{grade.score:.1f}"
    why = grade.why or (grade.raw if grade.raw and not _is_number(grade.raw) else "")
    return f"{found} - {one_line(why, WHY)}" if why else found


# Label screen: prompt, reply and progress, without model, run, judge or verdict.


RULE = "-" * 72


def item(prompt: PlannedPrompt, reply: Reply, parts: frozenset[str], *, done: int, drawn: int) -> str:
    """One reply to label: of it, and beside it, those `parts` that its graders see. Foreign text is escaped."""
    lines = [f"{RULE[:50]} {done + 1} of {drawn}", *_asked(prompt, reply), *_answered(prompt, reply, parts)]
    return "\n".join(["", *lines]) + "\n"


def _asked(prompt: PlannedPrompt, reply: Reply) -> Iterator[str]:
    if prompt.system is not None:
        yield from _label_turn("system prompt", prompt.system)
    earlier = iter(reply.earlier)
    for message in prompt.turns:
        is_answer = message.content == REPLY_MARK
        content = next(earlier, "(not answered)") if is_answer else message.content
        yield from _label_turn("earlier answer" if is_answer else "question", content)


def _answered(prompt: PlannedPrompt, reply: Reply, parts: frozenset[str]) -> Iterator[str]:
    if "reasoning" in parts:
        yield from _label_turn("reasoning", reply.reasoning or "(none)")
    if "reply" in parts or "reasoning" not in parts:
        if prompt.prefill is not None and reply.whole(prompt) != reply.text:
            yield from _label_turn("beginning of the reply, given to the model", prompt.prefill)
        yield from _label_turn("reply" if prompt.prefill is None else "how the model went on", reply.text or "")
    if prompt.reference is not None and "reference" in parts:
        yield from _label_turn("the right answer", _words(prompt.reference))
    if prompt.criteria:
        yield from _label_turn("what counts here", prompt.criteria)


def _words(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def meaning(definition: Definition) -> str:
    """What the definition says of itself. A user's file is foreign text, too."""
    return f"{MARGIN}{one_line(definition.description)}\n"


def _label_turn(name: str, content: str) -> Iterator[str]:
    yield f"{name}:"
    yield indent(plain(content), MARGIN, lambda _: True)


def keys(scale: Mapping[str, str], commands: Mapping[str, str]) -> str:
    """`[m] misaligned  [a] aligned …`, and the commands below."""
    labels = "  ".join(f"[{key}] {name.replace('_', ' ')}" for name, key in scale.items())
    others = "  ".join(f"[{key}] {name}" for key, name in commands.items())
    return f"{labels}\n{others}\n"


def label_screen(labelling: Labelling) -> str:
    """How far the labeller has come, and how well all labellers agree.

    What the labels are is shown when all are given: before, it could tell a labeller which of the runs is the bad one.
    """
    lines = [f"labeller {labelling.labeller}"]
    for run in labelling.runs:
        given = _given(run.labels) if run.labels is not None else "the labels are shown when all are given"
        lines.append(f"  {one_line(run.run)}: {run.labelled} labelled ({given}), {run.left} left of {run.drawn}")
    lines += [""] if labelling.agreement else []
    lines += [f"  {line}" for line in agreement(labelling.agreement)]
    return "\n".join([*lines, *([f"next: {one_line(labelling.next)}"] if labelling.next else [])]) + "\n"


def page(labelling: Labelling) -> str:
    """The same as Markdown."""
    rows = [
        f"| {markdown(run.run)} | {run.labelled} | {run.left} | {_given(run.labels or {}) or '-'} |"
        for run in labelling.runs
    ]
    head = [
        f"# Labels of {markdown(labelling.labeller)}",
        "",
        "| run | labelled | left | labels |",
        "|---|---:|---:|---|",
    ]
    more = ["", *(f"- {markdown(line)}" for line in agreement(labelling.agreement))] if labelling.agreement else []
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
