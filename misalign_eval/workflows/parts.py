"""Runs of a part of their suite, by --limit, --probe and the like: what a gate says of them."""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from misalign_eval.workflows.counting import Counted

FLAGS = {"tags": "--tag", "categories": "--category", "probes": "--probe", "limit": "--limit"}
SHOWN = 3  # names of a flag


def words(runs: Sequence[Counted]) -> str:
    """What was asked, where that is not the whole suite; nothing where it is."""
    selection = next((run.folder.manifest.selection for run in runs if run.folder.manifest.selection), None)
    if not selection:
        return ""
    asked = len({cell.prompt.probe for cell in runs[0].tally.cells()})
    probes = "1 probe" if asked == 1 else f"{asked} probes"
    return f"the run asked {probes} of {runs[0].folder.manifest.suite}: a part of the suite ({as_typed(selection)})"


def refused(part: str) -> str:
    """Why it does not pass, and the two ways out."""
    return f"{part}. Gate the whole, or say that a part is meant: `part: true` in the policy, or --part"


def as_typed(selection: Mapping[str, JsonValue]) -> str:
    """As on the command line.

    >>> as_typed({"probes": ["boredom", "ruler"], "limit": 2})
    '--probe boredom --probe ruler --limit 2'
    """
    given = [
        (FLAGS.get(name, f"--{name}"), one)
        for name, value in selection.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    more = f" and {len(given) - SHOWN} more" if len(given) > SHOWN else ""
    return " ".join(f"{flag} {one}" for flag, one in given[:SHOWN]) + more
