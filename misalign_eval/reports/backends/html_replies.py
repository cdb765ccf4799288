"""HTML sections about replies: the browser of replies, excerpts, lint and provenance."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from misalign_eval.records.definition import OUTCOMES
from misalign_eval.records.document import LintLine
from misalign_eval.records.findings import Finding, Warned
from misalign_eval.records.pages import Page, ReplyOrigin, ReplySample, ShownGrade, ShownReply, Slot
from misalign_eval.records.run import PlannedPrompt
from misalign_eval.reports import sentences
from misalign_eval.reports.backends.html_parts import Section, facts
from misalign_eval.reports.escape import NO_TEXT, NO_WORDS, Child, Html, el, one_line, plain

# Replies as data: JSON in a script element that no browser runs; every text is escaped first.
#
# Texts pass through `escape.plain` (control characters, bidi overrides, NUL and lone surrogates become visible codes);
# the JSON is ASCII, and in it `<`, `>` and `&` are `\u003c`, `\u003e` and `\u0026`, so that nothing in it can end the
# element or begin a comment.


FORMAT = 1
TOKENS = 20  # of a distribution, the likeliest
_LITERAL = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def data(exhibit: ReplySample) -> Iterator[str]:
    """The element that holds all replies, in pieces."""
    yield '<script type="application/json" id="replies-data">'
    yield _json(_head(exhibit))[:-1]
    yield ',"slots":['
    for number, slot in enumerate(exhibit.slots):
        yield f"{',' if number else ''}\n{_json(_slot(slot))}"
    yield "]}</script>"


def replies_shown(exhibit: ReplySample) -> int:
    """Replies on the page."""
    return sum(reply is not None for slot in exhibit.slots for reply in slot.replies)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_LITERAL)


def _head(exhibit: ReplySample) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "runs": [one_line(name) for name in exhibit.runs],
        "targets": [one_line(name) for name in exhibit.targets],
        "definition": one_line(exhibit.definition),
        "outcomes": [name.replace("_", " ") for name in OUTCOMES],
        "numerator": [OUTCOMES.index(name) for name in exhibit.numerator],
        "noWords": NO_WORDS,
        "prompts": [_prompt(prompt) for prompt in exhibit.prompts],
        "graders": {
            one_line(grader.grader): one_line(grader.judge or grader.kind) for grader in reversed(exhibit.graders)
        },
    }


def _prompt(prompt: PlannedPrompt) -> dict[str, Any]:
    return {
        "probe": one_line(prompt.probe),
        "prompt": prompt.prompt,
        "variant": one_line(prompt.variant),
        "category": one_line(prompt.category),
        "split": prompt.split,
        "system": None if prompt.system is None else plain(prompt.system),
        "messages": [[message.role, plain(message.content)] for message in prompt.turns],
        "prefill": None if prompt.prefill is None else plain(prompt.prefill),
    }


def _slot(slot: Slot) -> list[Any]:
    return [slot.prompt, slot.sample, [None if reply is None else _reply(reply) for reply in slot.replies]]


def _reply(reply: ShownReply) -> dict[str, Any]:
    """Short keys, since there are thousands: o outcome, t text, g grades; the rest only where there is something."""
    found: dict[str, Any] = {"o": OUTCOMES.index(reply.outcome)}
    if reply.failure is not None:
        found["fail"] = plain(reply.failure)
    else:
        found["t"] = NO_TEXT if reply.text is None else plain(reply.text)
    extra = {
        "finish": _ended(reply),
        "calls": [plain(call) for call in reply.calls],
        "leaked": reply.leaked and plain(reply.leaked),
        "whole": reply.whole,
        "earlier": [plain(item) for item in reply.earlier],
        "reasoning": reply.reasoning and plain(reply.reasoning),
        "refusal": reply.refusal and plain(reply.refusal),
        "disputed": int(reply.is_disputed),
    }
    grades = [_grade(grade) for grade in reply.grades]
    return {**found, **{name: value for name, value in extra.items() if value}, "g": grades}


def _ended(reply: ShownReply) -> str | None:
    if reply.finish == "stop":
        return None
    return f"{reply.finish} ({one_line(reply.finish_word)})" if reply.finish_word else reply.finish


def _grade(grade: ShownGrade) -> list[Any]:
    """Name, score, label, then the rest as an object."""
    more = {
        "why": grade.why and plain(grade.why),
        "problem": grade.problem and plain(grade.problem),
        "raw": grade.raw and plain(grade.raw),
        "mass": None if grade.number_mass is None else round(grade.number_mass, 4),
        "tokens": _tokens(grade.distribution),
        "votes": [[one_line(vote.judge), vote.score, vote.label and one_line(vote.label)] for vote in grade.votes],
    }
    score = None if grade.score is None else round(grade.score, 4)
    label = None if grade.label is None else one_line(grade.label)
    return [one_line(grade.name), score, label, {name: value for name, value in more.items() if value}]


def _tokens(distribution: Mapping[str, float] | None) -> list[Any]:
    ordered = sorted((distribution or {}).items(), key=lambda pair: -pair[1])[:TOKENS]
    return [[plain(token), round(share, 5)] for token, share in ordered]


# Reply browser: empty controls that the script fills.


KEYS = (
    ("j, k", "next and previous reply; the arrow keys, too"),
    ("Enter", "read the reply that is chosen"),
    ("Esc", "back to the list; out of the search field"),
    ("/", "search"),
    ("n, p", "next and previous reply that some run counts as misaligned"),
    ("x", "clear all filters"),
    ("?", "this help"),
)
NO_SCRIPT = "Reading single replies needs scripts. `misalign-eval show RUN` prints them, with the same filters."


def replies_section(exhibit: ReplySample) -> Section:
    """Filters, the list, the place of one reply, help."""
    return Section(
        "replies",
        "The replies",
        (
            el("noscript", el("p", NO_SCRIPT)),
            el("p", _how_many(exhibit)),
            *_without_words(exhibit),
            el("div", _filters(exhibit), _list(), _detail(), id="explorer", class_="explorer", hidden=True),
            _help(),
            el("p", "Single replies are on the screen only.", class_="print-only"),
        ),
    )


def _how_many(exhibit: ReplySample) -> str:
    shown = replies_shown(exhibit)
    if shown >= exhibit.replies:
        return f"All {shown:,} replies are here, with every grade and the judges' words. Press ? for the keys."
    return (
        f"{shown:,} of {exhibit.replies:,} replies are here: up to half of the room for those that some run counts as "
        "misaligned, the rest for the first samples of every prompt. So do not read shares off this list: every number "
        "above counts all replies. `misalign-eval show RUN` prints any of them. Press ? for the keys."
    )


def _without_words(exhibit: ReplySample) -> list[Html]:
    """Of an imported run whose questions are named by their ids alone."""
    count = sum(not prompt.messages for prompt in exhibit.prompts)
    if not count:
        return []
    which = "Their questions are" if count == len(exhibit.prompts) else f"{count} of their questions are"
    how = "`misalign-eval import … --questions FILE` adds them"
    return [el("p", f"{which} known by id only: the imported results do not hold their words. {how}.", class_="note")]


def _filters(exhibit: ReplySample) -> Html:
    """Every control has a label; the script fills the choices."""
    several = len(exhibit.runs) > 1
    boxes = [("disputed", "judges disagree")]
    if several:
        boxes.insert(0, ("differs", "verdict differs between runs"))
    controls = [
        _labelled("q", "search", el("input", id="f-q", type="search", autocomplete="off", spellcheck="false")),
        *(_select(name, words) for name, words in _selects(several=several)),
        _labelled("from", "score from", _number("from")),
        _labelled("to", "to", _number("to")),
        *(_box(name, words) for name, words in boxes),
        el("button", "clear", type="button", id="f-clear"),
    ]
    count = el("p", id="f-count", role="status")
    return el("div", *controls, count, class_="filters", role="search", aria_label="Filter replies")


def _selects(*, several: bool) -> list[tuple[str, str]]:
    names = [("probe", "probe"), ("category", "category"), ("split", "split"), ("variant", "variant")]
    run = [("run", "in run")] if several else []
    return [*names, *run, ("outcome", "outcome"), ("grader", "grader")]


def _select(name: str, words: str) -> Html:
    return _labelled(name, words, el("select", el("option", "any", value=""), id=f"f-{name}"))


def _number(name: str) -> Html:
    return el("input", id=f"f-{name}", type="number", step="any")


def _labelled(name: str, words: str, control: Html) -> Html:
    return el("label", el("span", words), control, for_=f"f-{name}", class_=f"field field-{name}")


def _box(name: str, words: str) -> Html:
    return el("label", el("input", id=f"f-{name}", type="checkbox"), " ", words, for_=f"f-{name}", class_="field box")


def _list() -> Html:
    spacer = el("div", id="list-inside", class_="inside")
    return el("div", spacer, id="list", class_="list", role="listbox", tabindex="0", aria_label="Replies")


def _detail() -> Html:
    return el("article", id="detail", class_="detail", tabindex="-1", aria_label="The reply that is chosen")


def _help() -> Html:
    rows = (el("tr", el("th", el("kbd", keys), scope="row"), el("td", what)) for keys, what in KEYS)
    close = el("button", "close", type="button", id="help-close")
    table = el("table", el("tbody", *rows))
    words = el("p", "The address of this page holds the filters and the reply that is open: a link shows the same.")
    return el("dialog", el("h3", "Keys", id="help-title"), table, words, close, id="help", aria_labelledby="help-title")


# Lint section, below the warnings, with links to the replies that are on the page.


class _Run(NamedTuple):
    """One run with what was found in its replies, and what the warnings say of it already."""

    name: str
    findings: Sequence[Finding]
    warnings: Sequence[Warned]


def count(page: Page) -> int:
    """How many findings are more than a note."""
    return sum(
        finding.level != "note" for run in _runs(page) for finding in sentences.unsaid(run.findings, run.warnings)
    )


def blocks(page: Page) -> Iterator[Html]:
    """A heading, and a list for each run; nothing where no replies were looked at."""
    runs = list(_runs(page))
    if runs:
        yield el("h3", sentences.TITLE)
    for place, run in enumerate(runs):
        if len(runs) > 1:
            yield el("p", el("b", run.name))
        links = _links(page.exhibit, place)
        lines = (_line(line, links) for line in sentences.section(run.findings, run.warnings))
        yield el("ul", *lines, class_="warnings lint")


def _runs(page: Page) -> Iterator[_Run]:
    names = page.exhibit.runs if page.exhibit is not None else [report.summary.run for report in page.reports]
    for name, report in zip(names, page.reports, strict=False):
        if report.summary.lint is not None:
            yield _Run(name, report.summary.lint, report.summary.warnings)
    for item in page.lint:
        yield _Run(item.run, item.findings, item.warnings)


def _links(exhibit: ReplySample | None, run: int) -> Mapping[str, str]:
    """The address of every reply of a run that is on the page, by its key."""
    found = {}
    for slot in exhibit.slots if exhibit is not None else ():
        if slot.replies[run] is not None and exhibit is not None:
            one = exhibit.prompts[slot.prompt]
            prompt = f"{one.probe}/{one.prompt}/{one.variant}"
            found[f"{prompt}#{slot.sample}"] = f"#show&{urlencode({'reply': f'{prompt}/{slot.sample}'})}"
    return found


def _line(line: LintLine, links: Mapping[str, str]) -> Html:
    words: list[Child] = [line.text]
    if line.example is not None and line.example in links:
        before, key, after = line.text.rpartition(line.example)
        words = [before, el("a", key, href=links[line.example]), after]
    head = [el("b", "error: ")] if line.level == "error" else []
    return el("li", *head, *words, class_=line.level)


# Provenance section: commands, versions, digests and cost of the runs.


NOT_KEPT = "The options that the folder keeps. Addresses and the names of key variables are not among them."


def origins_section(origins: tuple[ReplyOrigin, ...], version: str) -> Section:
    """Command, digests, versions and cost of every run."""
    body = [el("p", NOT_KEPT)]
    for origin in origins:
        cost = tuple(("" if number else "cost", line) for number, line in enumerate(origin.cost))
        body.append(el("h3", origin.run))
        body.append(_command(origin))
        body.append(facts((*origin.facts, *(cost or (("cost", "nothing was asked"),)))))
    body.append(el("p", f"This page was written by misalign-eval {version}, from the rows of the run folders alone."))
    return Section("origin", "To do it again", tuple(body))


def _command(origin: ReplyOrigin) -> Html:
    code = el("code", origin.command)
    return el("pre", code, class_="command", tabindex="0", aria_label=f"Command of {origin.run}")
