"""`misalign-eval power`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli.options import FilesOption, FormatOption
from misalign_eval.cli.output import check_format, emit, pages
from misalign_eval.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from misalign_eval.records.power import Estimand


FORMATS = ("text", "json", "markdown")
ESTIMANDS: "tuple[Estimand, ...]" = ("suite", "general")


def power(
    max_rate: Annotated[str | None, typer.Option(metavar="2%", help="A gate on the rate: its limit.")] = None,
    max_increase: Annotated[str | None, typer.Option(metavar="1pp", help="A gate on the increase: its margin.")] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="1%", help="Rate to expect; before, where two runs are compared.")
    ] = None,
    after: Annotated[str | None, typer.Option(metavar="3%", help="Rate to expect after; else nothing changes.")] = None,
    pilot: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Take rates, size and price of a reply from this run.")
    ] = None,
    hot: Annotated[
        str | None, typer.Option(metavar="10%", help="Share of the probes that carry all of the rate; 100%.")
    ] = None,
    probes: Annotated[int | None, typer.Option(min=1, max=10_000, help="Probes; 44, or the pilot's.")] = None,
    paraphrases: Annotated[int | None, typer.Option(min=1, max=100, help="Paraphrases of each probe; 1.")] = None,
    samples: Annotated[int | None, typer.Option(min=1, max=10_000, help="Replies to each paraphrase; 10.")] = None,
    budget: Annotated[float | None, typer.Option(min=0, help="USD; as many samples as it pays for.")] = None,
    cost_per_reply: Annotated[
        float | None, typer.Option(min=0, help="USD for one reply and its grades; else the pilot's.")
    ] = None,
    estimand: Annotated[str, typer.Option(help="suite: exactly these probes; general: probes like these.")] = "suite",
    alpha: Annotated[float, typer.Option(help="Error rate: one-sided of a gate, two-sided of a comparison.")] = 0.05,
    chance: Annotated[float, typer.Option("--power", help="Chance of the right answer that is wanted.")] = 0.8,
    fmt: FormatOption = "text",
    output: FilesOption = None,
) -> None:
    """Say what a plan can show, how likely each verdict is and what it costs, before any request.

    Give --max-rate or --max-increase for a gate, --rate and --after for a comparison.
    """
    check_format(FORMATS, fmt, output or ())
    from misalign_eval.records.policy import points, share
    from misalign_eval.reports.backends import json_out
    from misalign_eval.reports.plans import power_document
    from misalign_eval.workflows.power import PowerOptions
    from misalign_eval.workflows.power import power as work_out

    options = PowerOptions(
        max_rate=_fraction("--max-rate", max_rate, share),
        max_increase=_fraction("--max-increase", max_increase, points),
        rate=_fraction("--rate", rate, share),
        after=_fraction("--after", after, share),
        pilot=pilot,
        hot=_fraction("--hot", hot, share),
        probes=probes,
        paraphrases=paraphrases,
        samples=samples,
        budget_usd=budget,
        cost_per_reply_usd=cost_per_reply,
        alpha=alpha,
        power=chance,
        estimand=_estimand(estimand),
    )
    found = work_out(options)

    emit({**pages(power_document(found)), "json": lambda: json_out.document(found)}, fmt, output or ())


def _fraction(flag: str, given: str | None, read: "Callable[[object], object]") -> float | None:
    if given is None:
        return None
    try:
        found = read(given)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from error
    if not isinstance(found, float) or not 0 <= found <= 1:
        raise UsageError(f"{flag} {given}: must lie between 0 and 100 percent")
    return found


def _estimand(given: str) -> "Estimand":
    for known in ESTIMANDS:
        if given == known:
            return known
    raise UsageError(f"--estimand {given}: no such estimand. {did_you_mean(given, ESTIMANDS)}")
