"""Panels of the same size side by side, each for the rows that have its number."""

from collections.abc import Sequence

from misalign_eval.errors import UsageError
from misalign_eval.reports.figures.look import Look, Spec

MOST_PANELS = 16
GAP = 10.0


def check(kind: str, count: int) -> None:
    """Raise UsageError for more panels than a page has room for."""
    if count > MOST_PANELS:
        said = f"figure {kind} has room for {MOST_PANELS} panels, one for each run; here are {count}"
        raise UsageError(f"{said}. Draw some of them at a time")


def across(style: Look, count: int, least: float) -> int:
    """How many fit beside each other when each needs `least` points."""
    return max(min(int((style.width + GAP) // (least + GAP)), count), 1)


def own(number: int) -> Spec:
    """Only the rows of this panel."""
    return {"filter": {"field": "panel", "equal": number}}


def title(text: str, style: Look, width: float) -> Spec:
    """Above one panel: words that fit, as by `Look.fit`."""
    return {"text": text, "limit": round(width, 1), "fontSize": style.font, "anchor": "start", "frame": "group"}


def grid(views: Sequence[Spec], columns: int) -> Spec:
    """All of them in rows."""
    return {"concat": list(views), "columns": columns, "spacing": GAP, "align": "all"}
