"""One reply with all that belongs to it, as text. Everything in it is hostile and escaped."""

from collections.abc import Iterator, Sequence
from textwrap import indent

from misalign_eval.records.analysis import Example, Warned
from misalign_eval.records.grade import Graded, Ungraded
from misalign_eval.records.reply import Failure, Reply
from misalign_eval.records.suite import REPLY_MARK
from misalign_eval.reports.escape import NO_TEXT, NO_WORDS, one_line, plain
from misalign_eval.reports.fitting import MARGIN, fitted


def text(
    examples: Sequence[Example],
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
    return fitted("\n\n".join(blocks) + "\n", width)


def _which(shown: int, matching: int, offset: int) -> str:
    return f"{offset + 1} to {offset + shown} of {matching}" if offset and shown else f"{shown} of {matching}"


def _more(shown: int, matching: int, offset: int) -> str:
    """How to see the others."""
    if offset + shown < matching:
        return f": --limit shows more, --offset {offset + shown} the next"
    return f": --offset {offset} is past the last" if offset and not shown else ""


def _lines(example: Example) -> Iterator[str]:
    row, prompt = example.row, example.prompt
    yield f"=== {one_line(str(row.key))}  {example.outcome}  ({one_line(prompt.category)}, {prompt.split})"
    if prompt.system is not None:
        yield from _turn("system", prompt.system)
    if not prompt.messages:
        yield from _turn("user", NO_WORDS)
    earlier = iter(row.earlier if isinstance(row, Reply) else ())
    for message in prompt.turns:
        content = next(earlier, "(not answered)") if message.content == REPLY_MARK else message.content
        yield from _turn(message.role, content)
    if prompt.prefill is not None:
        yield from _turn("assistant (prefill)", prompt.prefill)
    yield from _answer(row)
    for grader, grade in example.grades.items():
        yield from _grade(grader, grade)


def _answer(row: Reply | Failure) -> Iterator[str]:
    if isinstance(row, Failure):
        yield from _turn(f"failure ({row.reason}, {row.attempts} attempts)", row.message)
        return
    if row.reasoning:
        yield from _turn("reasoning", row.reasoning)
    yield from _turn(f"reply{_begun(row)}{_ended(row)}", NO_TEXT if row.text is None else row.text)
    for call in row.calls:
        yield from _turn(f"call of `{one_line(call.name)}`", call.arguments)
    if row.leaked is not None:
        yield from _turn("cut off after the end of the turn", row.leaked)
    if row.refusal:
        yield from _turn("refusal by the provider", row.refusal)


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
        yield from _turn(f"{name} in the judge's words", grade.raw)
    for vote in grade.votes:
        said = one_line(vote.label or "none") if vote.score is None else f"{vote.score:.1f}"
        yield f"{name} by {one_line(vote.judge)}: {said}"


def _turn(speaker: str, content: str) -> Iterator[str]:
    yield f"{speaker}:"
    yield indent(plain(content), MARGIN, lambda _: True)
