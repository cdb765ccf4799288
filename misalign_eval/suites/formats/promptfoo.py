"""A promptfoo configuration: each of its prompts with the variables of each of its tests."""

import re
from collections.abc import Iterator, Mapping
from itertools import product

from misalign_eval.suites.formats.detect import Recognised
from misalign_eval.suites.formats.questions import Fields, ForeignQuestion, ForeignSuite
from misalign_eval.suites.formats.source import ConversionReport, Marked
from misalign_eval.yaml_source.nodes import Node

_MARK = re.compile(r"\{\{-?\s*([A-Za-z_]\w*)\s*-?\}\}")
_LOGIC = re.compile(r"\{%|\{#|\{\{(?!-?\s*[A-Za-z_]\w*\s*-?\}\})")
_ASKED = ("prompt", "question", "query", "input", "message")
_MOST = 20_000
_WRITE_OUT = "Write the text into this file, or give the prompts as CSV or JSON lines."
Values = dict[str, tuple[str, ...]]


def read(recognised: Recognised, notes: ConversionReport) -> ForeignSuite:
    """One probe a test and combination of its variables; the prompts of the file are its paraphrases."""
    fields = Fields(notes, recognised.root)
    templates = _templates(fields)
    usual = fields.mapping("defaultTest")
    shared = _values(usual) if usual else {}
    questions: list[ForeignQuestion] = []
    for place, node in fields.items("tests"):
        test = Fields(notes, node, place)
        if node.entries is None:
            _refuse_file(notes, node, "a test")
            continue
        questions += _of_test(test, templates, shared, len(questions))
        if len(questions) > _MOST:
            raise notes.stop(node.line, f"more than {_MOST:,} prompts", "Take a sample of them.")
    fields.rest(())
    return ForeignSuite(recognised.format, tuple(questions))


def _templates(fields: Fields) -> list[Marked]:
    found = []
    for text in fields.texts("prompts"):
        if text.value.startswith("file://"):
            fields.notes.wrong(text.line, text.place, "the prompt is in another file, which is not read", _WRITE_OUT)
        elif _LOGIC.search(text.value):
            what = "a template with more than `{{name}}` in it cannot be filled in"
            fields.notes.wrong(text.line, text.place, what, _WRITE_OUT)
        else:
            found.append(text)
    return found


def _of_test(test: Fields, templates: list[Marked], shared: Values, before: int) -> Iterator[ForeignQuestion]:
    values = shared | _values(test)
    test.text("description")
    for key in ("assert", "threshold", "metadata", "options"):
        if key in test.keys:
            test.lost(key, f"`{key}` of a test is left out", "Replies are graded as the definition says.")
    test.rest(())
    names = [*values]
    for number, chosen in enumerate(product(*values.values())):
        one = dict(zip(names, chosen, strict=True))
        prompts = [text for text in (_filled(test, template, one) for template in templates) if text is not None]
        prompts = prompts or _plain(test, one, alone=not templates)
        if prompts:
            unique = {text.value: text for text in prompts}
            yield ForeignQuestion(Marked(f"test-{before + number + 1}", test.line), prompts=[*unique.values()])


def _plain(test: Fields, values: Mapping[str, str], *, alone: bool) -> list[Marked]:
    """The question itself, where the file has no prompts of its own."""
    name = next((name for name in _ASKED if name in values), None) if alone else None
    if alone and name is None:
        test.wrong("vars", "no prompt, and no variable that is a question", "Write `prompts:`.")
    return [] if name is None else [Marked(values[name], *test.at("vars"))]


def _filled(test: Fields, template: Marked, values: Mapping[str, str]) -> Marked | None:
    lacking = [name for name in _MARK.findall(template.value) if name not in values]
    if lacking:
        test.wrong("vars", f"no value for `{{{{{lacking[0]}}}}}` of the prompt", "Add it to the test's `vars`.")
        return None
    return template._replace(value=_MARK.sub(lambda mark: values[mark[1]], template.value))


def _values(test: Fields) -> Values:
    """Each variable with its values: a list stands for one test a value."""
    inside = test.mapping("vars")
    values: Values = {}
    for name, (_, node) in (inside.node.entries or {}).items() if inside else ():
        items = node.items if node.items is not None else [node]
        texts = [str(item.scalar) for item in items if isinstance(item.scalar, str | int | float)]
        if len(texts) < len(items) or any(text.startswith("file://") for text in texts):
            test.notes.wrong(node.line, f"vars.{name}", "a variable that is no text of this file", _WRITE_OUT)
        else:
            values[name] = tuple(texts)
    return values


def _refuse_file(notes: ConversionReport, node: Node, what: str) -> None:
    notes.wrong(node.line, "tests", f"{what} that is no mapping of this file", _WRITE_OUT)
