"""A figure before it is a file: its specification, the rows behind it, and the caption."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from misalign_eval.reports.escape import one_line
from misalign_eval.reports.figures.look import Look, Spec, config, shown

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# Legends belong to their view: shared ones would stand above the title.
OWN_LEGENDS: Spec = {"scale": dict.fromkeys(("color", "shape", "strokeDash"), "independent")}
NONE: Mapping[str, Mapping[str, str]] = {}
Value = str | int | float | bool | None
Row = dict[str, Value]


class Column(NamedTuple):
    """A column of the table behind a figure: the data as they are, names hostile still."""

    name: str
    about: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `spec` is None for a table of texts, which has no drawing. Rates are fractions, None not known."""

    kind: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    spec: Spec | None = None

    def table(self) -> Iterable[Row]:
        """The rows with exactly the columns, in their order."""
        return ({column.name: row.get(column.name) for column in self.columns} for row in self.rows)


def compose(
    views: Sequence[Spec], rows: Sequence[Row], caption: str, look: Look, names: Mapping[str, Mapping[str, str]] = NONE
) -> Spec:
    """One specification: views one below the other, the data in it, the caption below.

    Of the rows only names are changed: escaped, and cut; `names` has for some columns how each name is shown.
    """
    drawn = list(views)
    if look.title:
        top = {"text": shown(look.title), "fontWeight": "bold", "frame": "bounds"}
        drawn = [{"title": top, "resolve": OWN_LEGENDS, "vconcat": drawn}]
    words = one_line(caption)
    lines = look.wrap(words, look.small)
    below = {
        "text": lines,
        "orient": "bottom",
        "anchor": "start",
        "frame": "bounds",
        "fontSize": look.small,
        "color": "#333333",
        "offset": 6,
    }
    return {
        "$schema": SCHEMA,
        "description": words,
        "config": config(look),
        "padding": {"left": 1, "right": 1, "top": 2, "bottom": 2},
        "background": "white",
        **({"title": below} if look.has_caption else {}),
        "data": {"values": [{name: _cell(value, names.get(name, {})) for name, value in row.items()} for row in rows]},
        "resolve": OWN_LEGENDS,
        "vconcat": drawn,
    }


def _cell(value: Value, names: Mapping[str, str]) -> Value:
    return (names.get(value) or shown(value)) if isinstance(value, str) else value
