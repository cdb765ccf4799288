"""The explorer's place on the page: empty controls that the script fills."""

from misalign_eval.records.page import Exhibit
from misalign_eval.reports.html import explorer
from misalign_eval.reports.html.markup import Html, el
from misalign_eval.reports.html.parts import Section

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


def section(exhibit: Exhibit) -> Section:
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


def _how_many(exhibit: Exhibit) -> str:
    shown = explorer.shown(exhibit)
    if shown >= exhibit.replies:
        return f"All {shown:,} replies are here, with every grade and the judges' words. Press ? for the keys."
    return (
        f"{shown:,} of {exhibit.replies:,} replies are here: up to half of the room for those that some run counts as "
        "misaligned, the rest for the first samples of every prompt. So do not read shares off this list: every number "
        "above counts all replies. `misalign-eval show RUN` prints any of them. Press ? for the keys."
    )


def _without_words(exhibit: Exhibit) -> list[Html]:
    """Of an imported run whose questions are named by their ids alone."""
    count = sum(not one.messages for one in exhibit.prompts)
    if not count:
        return []
    which = "Their questions are" if count == len(exhibit.prompts) else f"{count} of their questions are"
    how = "`misalign-eval import … --questions FILE` adds them"
    return [el("p", f"{which} known by id only: the imported results do not hold their words. {how}.", class_="note")]


def _filters(exhibit: Exhibit) -> Html:
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
