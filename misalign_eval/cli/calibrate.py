"""`misalign-eval calibrate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli.options import (
    JUDGE_FLAGS,
    DefinitionOption,
    FilesOption,
    JudgeEffort,
    JudgeMaxTokens,
    JudgeTemperature,
    SplitOption,
    choices,
    judge_sampling,
    refuse_unused,
)
from misalign_eval.cli.output import check_format, emit, pages
from misalign_eval.errors import UsageError

if TYPE_CHECKING:
    from misalign_eval.records.labels import Calibration
    from misalign_eval.workflows.options import RequestLimits


FORMATS = ("text", "json", "markdown")
Many = list[str] | None


@dataclass(frozen=True, slots=True)
class _Given:
    """The flags as typed."""

    names: tuple[str, ...]
    use_judge: tuple[str, ...]
    against: tuple[str, ...]
    labels: Path | None
    labellers: tuple[str, ...]
    judges: tuple[str, ...]
    at: tuple[str | None, str | None, tuple[str, ...]]
    method: str
    sampling: tuple[float | None, int | None, str | None]
    yes: str | None
    definition: str | None
    split: str | None
    limit: str | None
    worst: int

    @property
    def is_grader(self) -> bool:
        """Whether a grader is named, and not a run."""
        if (Path(self.names[0]) / "run.json").is_file():
            return False
        return bool(self.judges) or self.yes is not None or _is_grader(self.names[0])


def _is_grader(name: str) -> bool:
    """Whether it can only be meant as a grader, though no --judge says so."""
    if Path(name).exists():
        return False
    from misalign_eval.graders import folder as grader_folder
    from misalign_eval.workflows import load_suite

    return name in grader_folder.names(load_suite.own_graders())


def calibrate(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="RUN [RUN] | GRADER", help="A run, two runs, or a grader.")],
    *,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Labels from this .csv or .jsonl instead of `label`.")
    ] = None,
    labeller: Annotated[Many, typer.Option(metavar="NAME", help="Only this labeller's labels; repeatable.")] = None,
    use_judge: Annotated[
        Many, typer.Option("--use-judge", help="The judge: GRADER=IDENTITY, or provider/model; else the primary one.")
    ] = None,
    against: Annotated[Many, typer.Option(help="Another judge of the run as the reference, named likewise.")] = None,
    judge: Annotated[
        Many, typer.Option(metavar="P/M", help="With a GRADER: the model that reads its labelled replies.")
    ] = None,
    judge_base_url: Annotated[str | None, typer.Option(help="Where the judges live.")] = None,
    judge_api_key_env: Annotated[str | None, typer.Option(help="Environment variable with the judges' key.")] = None,
    judge_served_as: Annotated[
        Many, typer.Option(metavar="NAME", help="Accept answers of a judge of this name or pattern; repeatable.")
    ] = None,
    judge_method: Annotated[str, typer.Option(help="How 0-100 judges are read: auto, logprobs or sampled.")] = "auto",
    judge_temperature: JudgeTemperature = None,
    judge_max_tokens: JudgeMaxTokens = None,
    judge_effort: JudgeEffort = None,
    yes: Annotated[
        str | None, typer.Option(metavar="'below 30'", help="With a GRADER: what a yes is, if no definition reads it.")
    ] = None,
    limit: Annotated[
        str | None, typer.Option(metavar="2%", help="How many labels would a corrected gate at this limit take?")
    ] = None,
    worst: Annotated[int, typer.Option(min=0, help="Disagreements to show.")] = 10,
    store: Annotated[
        bool, typer.Option("--store/--no-store", help="Keep the result with the judge's identity.")
    ] = True,
    definition: DefinitionOption = None,
    split: SplitOption = None,
    max_connections: Annotated[int | None, typer.Option(min=1, max=1000, help="Requests in flight; 50.")] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop before the bill passes this many USD.")] = None,
    max_requests: Annotated[int | None, typer.Option(min=1, help="Stop before so many requests.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds for one attempt at a request.")] = 300.0,
    fmt: Annotated[str, typer.Option("--format", help="What to print: text, json or markdown.")] = "text",
    output: FilesOption = None,
) -> None:
    """How good is a judge? Held against people's labels, against a grader's labelled replies, or against another judge.

    RUN takes the labels that `label RUN` kept, or --labels FILE. GRADER --judge P/M has the judge read the grader's own
    labelled replies. RUN --use-judge A --against B compares two judges that graded the same replies; with two runs also
    how much of the change survives. Results about people's labels are kept in the run and in `calibrations` beside
    it, those about a grader's replies in results/calibrations; `report` and `gate` find them beside or above a run.
    """
    check_format(FORMATS, fmt, output or ())
    from misalign_eval.workflows.options import RequestLimits

    many = (tuple(use_judge or ()), tuple(against or ()))
    given = _Given(
        tuple(names), *many, labels, tuple(labeller or ()), tuple(judge or ()),
        (judge_base_url, judge_api_key_env, tuple(judge_served_as or ())),
        judge_method, (judge_temperature, judge_max_tokens, judge_effort), yes, definition, split, limit, worst,
    )  # fmt: skip
    _check(given)
    if given.is_grader:
        why = "a GRADER is held against its own labelled replies"
        refuse_unused(context, ("labels", "labeller", "use_judge", "against", "split", "limit"), why)
    else:
        asking = (*JUDGE_FLAGS, "max_connections", "max_cost", "max_requests", "timeout")
        refuse_unused(context, asking, "nothing is asked about a run; it goes with a GRADER and --judge")
    if given.against:
        refuse_unused(context, ("limit",), "--against compares two judges")
    made = _made(given, RequestLimits.of(max_connections, max_cost, max_requests, timeout))
    if store and made.design != "judges" and made.n:
        _keep(made, None if given.is_grader else Path(names[0]))
    _emit(made, fmt, output or ())


def _check(given: _Given) -> None:
    if given.judges and not given.is_grader:
        raise UsageError("--judge goes with a GRADER; a judge that graded this run is named with --use-judge")
    if given.yes and not given.is_grader:
        raise UsageError("--yes goes with a GRADER; a run is read by its definition")
    if given.against and (given.labels or given.labellers):
        raise UsageError("--against compares two judges: leave out --labels and --labeller")
    if given.labels and given.labellers:
        raise UsageError("--labels takes every label of its file, and --labeller names one of the run: leave one out")
    if len(given.names) > 1 and not given.against:
        raise UsageError("calibrate takes one run, or two with --against JUDGE")


def _made(given: _Given, limits: "RequestLimits") -> "Calibration":
    if given.is_grader:
        return _of_grader(given, limits)
    from misalign_eval.workflows.judging.calibrate import AgainstOptions, CalibrateOptions, against
    from misalign_eval.workflows.judging.calibrate import calibrate as carry_out

    run = Path(given.names[0])
    if not given.against:
        named = _named(given, run)
        read_as = choices(given.definition, [f"{name}={who}" for name, who in named.items()], given.split)
        return carry_out(
            CalibrateOptions(run, given.labellers, given.labels, read_as, _limit(given.limit), given.worst)
        )
    read_as = choices(given.definition, (), given.split)
    runs = tuple(map(Path, given.names))
    return against(AgainstOptions(runs, given.use_judge, given.against, read_as, given.worst))


def _named(given: _Given, run: Path) -> dict[str, str]:
    """--use-judge by grader, also where only a judge is named."""
    if not given.use_judge:
        return {}
    from misalign_eval.store.run_folder import open_run
    from misalign_eval.workflows.judging.calibrate import named
    from misalign_eval.workflows.load_run import Choices, chosen_definition

    folder = open_run(run)
    return named(folder, chosen_definition(folder, Choices(given.definition)), given.use_judge, "--use-judge")


def _of_grader(given: _Given, limits: "RequestLimits") -> "Calibration":
    import asyncio

    from misalign_eval.cli.options import chosen_method, print_graders, print_settings
    from misalign_eval.settings import load_settings
    from misalign_eval.workflows.judging.examples import ExamplesOptions, calibrate_grader
    from misalign_eval.workflows.options import TargetAddress

    if len(given.names) > 1:
        raise UsageError("calibrate takes one grader")
    options = ExamplesOptions(
        grader=given.names[0],
        judges=given.judges,
        judge_at=TargetAddress(*given.at),
        method=chosen_method(given.method),
        judge_sampling=judge_sampling(*given.sampling),
        yes=given.yes,
        definition=given.definition,
        limits=limits,
        worst=given.worst,
    )
    settings = load_settings(Path.cwd())
    print_settings(settings, options.judges, options.judge_at, "judges")
    print_graders()
    return asyncio.run(calibrate_grader(options, settings))


def _limit(given: str | None) -> float | None:
    if given is None:
        return None
    from misalign_eval.records.policy import share

    try:
        found = share(given)
    except ValueError as error:
        raise UsageError(f"--limit {given}: {error}") from error
    if not isinstance(found, float) or not 0 < found < 1:
        raise UsageError(f"--limit {given}: choose a limit between 0 and 100 %")
    return found


def _keep(calibration: "Calibration", run: Path | None) -> None:
    """A folder that takes no files is worth a line, not an error."""
    from misalign_eval.cli.options import print_note
    from misalign_eval.store.lock import CALIBRATIONS
    from misalign_eval.workflows.judging.calibrations import STORE, store

    for folder in [run / CALIBRATIONS, run.resolve().parent / CALIBRATIONS] if run else [STORE]:
        try:
            for file in store(calibration, [folder]):
                print_note(f"kept in {file}")
        except OSError as error:
            print_note(f"{folder}: not kept: {error.strerror}")


def _emit(calibration: "Calibration", fmt: str, files: Sequence[Path]) -> None:
    from misalign_eval.reports.backends import json_out
    from misalign_eval.reports.judges import calibration_document

    emit({**pages(calibration_document(calibration)), "json": lambda: json_out.document(calibration)}, fmt, files)
