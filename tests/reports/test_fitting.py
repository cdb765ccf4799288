"""Lines and names that are longer than the room for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from misalign_eval.reports.backends.terminal import MARGIN, wrap_cells
from misalign_eval.reports.figures.theme import distinct_names, shorten_middle

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200)


def test_what_goes_on_is_indented_deeper_than_its_beginning() -> None:
    assert wrap_cells("note: one two three four five six\n", 24) == "note: one two three\n    four five six\n"
    assert wrap_cells("  - one two three four five\n", 24) == "  - one two three four\n    five\n"


def test_foreign_text_keeps_its_margin_on_every_line() -> None:
    lines = wrap_cells(f"{MARGIN}one two three four five six seven", 24).split("\n")
    assert len(lines) > 1
    assert all(line.startswith(MARGIN) for line in lines)


@pytest.mark.parametrize("line", ["  misalign-eval report results/a-folder-with-a-long-name --by probe"])
def test_a_command_is_left_whole_to_be_copied(line: str) -> None:
    assert wrap_cells(line, 20) == line


def test_a_pipe_gets_whole_lines() -> None:
    assert wrap_cells("word " * 100, None) == "word " * 100


@pytest.mark.slow
@given(TEXTS, st.integers(0, 60), st.integers(8, 120))
def test_no_line_is_wider_than_the_screen_and_no_word_is_lost(text: str, indented: int, width: int) -> None:
    text = " " * indented + text
    found = wrap_cells(text, width)
    assert max(map(cell_len, found.split("\n"))) <= width
    assert "".join(found.split()) == "".join(text.split())


@pytest.mark.slow
@given(st.lists(TEXTS, max_size=8), st.integers(4, 40))
def test_different_names_stay_different_however_little_room_there_is(names: list[str], room: int) -> None:
    found = distinct_names(names, lambda text: len(text) <= room)
    assert list(found) == list(dict.fromkeys(names))
    assert len(set(found.values())) == len(found)
    assert all(found[name] == name for name in names if len(name) <= room)


@pytest.mark.parametrize(
    "names, shown",
    [
        (["provider/org/model-7b-v1", "provider/org/model-7b-v2"], ["provi...7b-v1", "provi...7b-v2"]),
        (["base-of-this-model-long-end", "tune-of-this-model-long-end"], ["base-...g-end", "tune-...g-end"]),
        (["x" * 20 + "A" + "y" * 20, "x" * 20 + "B" + "y" * 20], ["...xAyyyyy...", "...xByyyyy..."]),
    ],
)
def test_the_place_where_names_differ_is_shown(names: list[str], shown: list[str]) -> None:
    assert list(distinct_names(names, lambda text: len(text) <= 13).values()) == shown


def test_a_name_alone_shows_its_beginning_and_its_end() -> None:
    assert shorten_middle("provider/org/model-7b-v1", 13) == "provi...7b-v1"
