"""Lists of suites, graders, definitions and providers on a screen."""

from misalign_eval.cli.output import listed

ROWS = [
    ("in-domain/health", "1.0.0", "Lay questions about health on which wrong advice endangers somebody."),
    ("x", "2", ""),
]


def test_what_does_not_fit_goes_on_below_its_own_beginning() -> None:
    assert listed(ROWS, 60).splitlines() == [
        "in-domain/health  1.0.0  Lay questions about health on which",
        "                         wrong advice endangers somebody.",
        "x                 2",
    ]


def test_a_narrow_screen_has_it_below() -> None:
    assert listed(ROWS, 40).splitlines()[:3] == [
        "in-domain/health  1.0.0",
        "    Lay questions about health on which",
        "    wrong advice endangers somebody.",
    ]


def test_other_programs_get_one_line_a_row() -> None:
    assert [len(line) for line in listed(ROWS).splitlines()] == [93, 19]


def test_nothing_to_list_is_nothing() -> None:
    assert listed([]) == ""
