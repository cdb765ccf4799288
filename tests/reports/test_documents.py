"""Documents: the words once, each kind of block by every backend, and nothing hostile gets through."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from misalign_eval.records.document import (
    Bars,
    Block,
    Excerpt,
    Excerpts,
    Facts,
    Findings,
    LintLine,
    Quotation,
    Quotations,
    ReportDocument,
    Statement,
    Table,
    Trusted,
    Warnings,
)
from misalign_eval.records.findings import Warned
from misalign_eval.reports import run as run_subject
from misalign_eval.reports.backends import markdown, terminal

Make = Callable[..., Any]
BAD = "\x1b[2J[bold]a|b\n[x](http://evil) <img>"
BLOCKS: tuple[Block, ...] = (
    Statement(BAD, BAD, ((BAD, BAD),), ((BAD, BAD),)),
    Facts(((BAD, BAD),), BAD),
    Table(BAD, (BAD, BAD, BAD), ((BAD, BAD, "3"),), BAD, BAD, names=2),
    Bars(BAD, (BAD, BAD), ((BAD, 3),), 4, BAD),
    Excerpts(BAD, (Excerpt(BAD, BAD),), "`show` prints them whole"),
    Quotations(BAD, (Quotation(BAD, ((BAD, BAD),)),)),
    Warnings((Warned(id=BAD, text=BAD),)),
    Findings(BAD, (LintLine("error", BAD),)),
)
RECIPE = '''

def state_table(summary: RunSummary) -> Iterator[Table]:
    """How many replies were graded."""
    yield Table("Replies by <state>", trusted("state", "replies"), (("graded|[x](y)", str(summary.graded)),))
'''


def test_these_are_all_kinds_of_blocks() -> None:
    assert {type(block) for block in BLOCKS} == set(get_args(Block))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: type(block).__name__)
def test_every_kind_of_block_is_escaped_by_both_backends(block: Block) -> None:
    document = ReportDocument(BAD, (block,), tone="strong")
    shown, page = terminal.render(document), markdown.render(document)
    assert "\x1b" not in shown + page
    assert "[bold]" in shown
    assert "](http" not in page.replace("\\[x\\](http", "")
    assert "<img>" not in page.replace("\\<img\\>", "")
    assert "a|b" not in page


def test_trusted_text_keeps_its_signs_in_markdown_and_text_made_from_it_does_not() -> None:
    words = Trusted("6.0 % [2.1, 16.2]")
    page = markdown.render(ReportDocument("x", (Statement(words, f"{words} of a|b"),)))
    assert page.endswith("**6.0 % [2.1, 16.2]** 6\\.0 % \\[2.1, 16.2\\] of a\\|b\n")


def test_a_fact_without_a_name_goes_on_with_the_one_before() -> None:
    document = ReportDocument("", (Facts((("rate", "6 %"), ("", "of 50 replies"))),))
    assert markdown.render(document) == "- rate: 6 %\n  of 50 replies\n"
    assert terminal.render(document) == "rate  6 %\n      of 50 replies\n"


def test_a_terminal_shows_a_title_only_with_a_tone() -> None:
    document = ReportDocument("Gate: PASS", (Statement("All is well."),))
    assert terminal.render(document) == "All is well.\n"
    assert terminal.render(replace(document, tone="pass")) == "Gate: PASS\nAll is well.\n"
    assert markdown.render(document) == "# Gate: PASS\n\n**All is well.**\n"


def test_several_documents_stand_one_below_the_other() -> None:
    documents = [ReportDocument(name, (Statement(f"{name}."),)) for name in ("first", "second")]
    assert terminal.render(*documents) == "first.\n\nsecond.\n"
    assert markdown.render(*documents) == "# first\n\n**first.**\n\n# second\n\n**second.**\n"


def _with_a_table(path: Path) -> ModuleType:
    """`reports/run.py` after the recipe of CONTRIBUTING: a function, and a line in `run_tables`."""
    source = Path(run_subject.__file__).read_text(encoding="utf-8")
    last = "    yield from other_graders(summary)\n"
    before, line, after = source.partition(last)
    path.write_text(f"{before}{line}    yield from state_table(summary)\n{after}{RECIPE}", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("run_with_a_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_new_table_is_one_function_and_one_line(report: Make, tmp_path: Path) -> None:
    document = _with_a_table(tmp_path / "run.py").run_document(report())
    caption = "definition betley-2025; judge openai/judge; suite quick 1.0.0 (01234567)"
    assert f"\n\nReplies by <state>\nstate          replies\ngraded|[x](y)       50\n{caption}\n\n" in terminal.render(
        document
    )
    page = markdown.render(document)
    assert "\n\n## Replies by \\<state\\>\n\n| state | replies |\n| --- | ---: |\n" in page
    assert f"\n| graded\\|\\[x\\](y) | 50 |\n\n*{caption}*\n\n" in page
