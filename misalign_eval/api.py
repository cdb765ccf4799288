"""The Python interface: paths or objects in, records out. Nothing is printed, and errors are the package's exceptions.

Only what `misalign_eval.__all__` names is promised to stay.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar

from misalign_eval import plugins
from misalign_eval.analysis import definitions
from misalign_eval.errors import MissingExtraError, RunStoppedError, UsageError
from misalign_eval.graders import build
from misalign_eval.graders.folder import Method
from misalign_eval.graders.graders import of_function
from misalign_eval.interchange.columns import TableColumn
from misalign_eval.interchange.write_tables import arrow_table
from misalign_eval.plan import Selection
from misalign_eval.providers import keys
from misalign_eval.records.definition import Definition
from misalign_eval.records.gate import Gate
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.policy import Policy
from misalign_eval.records.protocols import ProviderFactory, RuleFunction
from misalign_eval.records.run import Failure, Reply, RunManifest
from misalign_eval.records.suite import Sampling, Suite
from misalign_eval.records.summary import Comparison, Estimand, ReplyExamples, RunSummary
from misalign_eval.reports import escape
from misalign_eval.reports.run import sentence
from misalign_eval.settings import Settings, load_settings
from misalign_eval.store.run_folder import open_run
from misalign_eval.workflows import baselines, documents, export
from misalign_eval.workflows import gate as gates
from misalign_eval.workflows import load_suite as suites
from misalign_eval.workflows import regrade as regrades
from misalign_eval.workflows import report as reports
from misalign_eval.workflows import run as runs
from misalign_eval.workflows import show as shows
from misalign_eval.workflows.completeness import completeness
from misalign_eval.workflows.load_run import Choices
from misalign_eval.workflows.options import RequestLimits, RunOptions, TargetAddress
from misalign_eval.workflows.pipeline import SilentWatcher

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
Factory = TypeVar("Factory", bound=ProviderFactory)
Rule = TypeVar("Rule", bound=RuleFunction)
Names = str | Sequence[str]

_KEYS = ("probe", "prompt", "variant", "sample", "outcome")
_TEXT = "text"


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder. Everything is read from its rows when it is asked for, so that it is never out of date."""

    path: Path
    notes: tuple[str, ...] = ()  # what there was to say while it was made; empty for one that was loaded

    @property
    def manifest(self) -> RunManifest:
        """What was planned, with what: run.json. Raises UsageError for a folder that holds no run."""
        return open_run(self.path).manifest

    def replies(self) -> Iterator[Reply | Failure]:
        """Each reply, or the failure in its place, in the order in which they came. Raises InputError for a bad row."""
        return open_run(self.path).replies()

    def grades(self) -> Iterator[tuple[GraderIdentity, Graded | Ungraded]]:
        """Each grade of each grader, with who graded. Raises InputError for a bad row."""
        folder = open_run(self.path)
        for identity in folder.grader_identities():
            for grade in folder.grades(identity):
                yield identity, grade

    def report(self) -> RunSummary:
        """The numbers of the run: `rate`, `low` and `high` are fractions in [0, 1], None where nothing was graded."""
        return report(self)

    def samples_df(self) -> Any:  # noqa: ANN401  pandas has no types here
        """A `pandas.DataFrame` with one row a planned reply.

        The columns are probe, prompt, variant, sample, outcome, one for each grader, and text. A grader's column holds
        its score (0 to 100 for judges that score) or its label, and is missing where it gave none. `text` is missing
        where no reply came. Raises MissingExtraError without pandas.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtraError("samples_df needs pandas: pip install pandas") from error
        columns, rows = self._table()
        return pd.DataFrame(rows, columns=[column.name for column in columns])

    def to_arrow(self) -> Any:  # noqa: ANN401  pyarrow has no types
        """A `pyarrow.Table` with the rows and columns of `samples_df`. Raises MissingExtraError without pyarrow."""
        columns, rows = self._table()
        return arrow_table(columns, iter(rows))

    def _repr_html_(self) -> str:
        """What a notebook shows: where the run is, and its headline."""
        summary = self.report()
        return f"<p><code>{escape.html(str(self.path))}</code><br>{escape.html(sentence(summary))}</p>"

    def _table(self) -> tuple[tuple[TableColumn, ...], list[dict[str, Any]]]:
        names: dict[str, str] = {}
        rows: list[dict[str, Any]] = []
        for about, item in export.samples(self.path, Choices()):
            names = names or {name: f"{name}_grade" if name in {*_KEYS, _TEXT} else name for name in about.graders}
            row: dict[str, Any] = {**item.key._asdict(), "outcome": item.outcome}
            row |= {column: _value(item.grades.get(name)) for name, column in names.items()}
            rows.append({**row, _TEXT: item.row.text if isinstance(item.row, Reply) else None})
        integers = {"prompt", "sample"}
        columns = [TableColumn(name, "integer" if name in integers else "text", name) for name in _KEYS]
        for name, column in names.items():
            is_number = all(isinstance(row[column], float | int | None) for row in rows)
            columns.append(TableColumn(column, "number" if is_number else "text", f"score or label of {name}"))
        return (*columns, TableColumn(_TEXT, "text", "the reply")), rows


RunPath = Run | str | Path


def load_suite(source: str | Path, *, definition: str | None = None) -> Suite:
    """Read a bundled suite by its name, or a file by its path; `definition` replaces the suite's own.

    Raises UsageError for an unknown name, InputError with every problem of every file.
    """
    return suites.load_suite(str(source), definition=definition)


def load_definition(name_or_path: str | Path) -> Definition:
    """Read a preset by its name, or a definition file by its path. Raises UsageError, InputError."""
    return definitions.load(str(name_or_path))


def load_run(path: str | Path) -> Run:
    """Open a run folder. Raises UsageError for a folder that holds no run."""
    return Run(open_run(Path(path)).path)


async def arun(
    suite: str | Path | Suite,
    *,
    target: str,
    judge: Names = (),
    out: str | Path | None = None,
    resume: bool = False,
    samples: int | None = None,
    seed: int | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    definition: str | None = None,
    probes: Names = (),
    categories: Names = (),
    tags: Names = (),
    limit: int | None = None,
    labels: Mapping[str, str] | None = None,
    base_url: str | None = None,
    api_key_env: str | None = None,
    judge_base_url: str | None = None,
    judge_api_key_env: str | None = None,
    judge_method: Method | None = None,
    max_connections: int | None = None,
    max_cost: float | None = None,
    max_requests: int | None = None,
    max_failures: float = 0.05,
    timeout: float = 300.0,  # noqa: ASYNC109  of one attempt at a request, not of this call
) -> Run:
    """Ask one target the suite, grade its replies, and write a run folder: `misalign-eval run`.

    `judge` is one model, or several that make an ensemble. `max_failures` is the share in [0, 1] of replies, and of
    judgments, that may be missing; `timeout` is in seconds, `max_cost` in USD. `misalign-eval.yaml` is read as on the
    command line. Cancelling the task stops the run; what came is kept.

    Raises UsageError or InputError before the first request. Raises RunStoppedError when the run could not go on, or
    more is missing than `max_failures` allows: the folder keeps every row, and `resume=True` goes on with it.
    """
    settings = load_settings(Path.cwd())
    written = {"suite": str(suite) if not isinstance(suite, Suite) else "", "target": target, "out": str(out or "")}
    _refuse_keys(
        settings,
        {
            **written,
            "judge": judge,
            "base_url": base_url,
            "judge_base_url": judge_base_url,
            "labels": [*(labels or {}).keys(), *(labels or {}).values()],
        },
        (api_key_env, judge_api_key_env),
    )
    _check_counts(samples=samples, limit=limit)
    options = RunOptions(
        suites=(suite if isinstance(suite, Suite) else str(suite),),
        targets=(target,),
        target_at=TargetAddress(base_url, api_key_env),
        judges=_several(judge),
        judge_at=TargetAddress(judge_base_url, judge_api_key_env),
        method=judge_method,
        samples=samples,
        seed=seed,
        sampling=Sampling(temperature=temperature, max_tokens=max_tokens),
        definition=definition,
        selection=Selection(_several(tags), _several(categories), _several(probes), limit),
        out=None if out is None else Path(out),
        resume=resume,
        limits=_limits(settings, max_connections, max_cost, max_requests, timeout),
        max_failures=max_failures,
        labels=dict(labels or {}),
        handles_signals=False,
    )
    prepared = runs.prepare(options, settings)
    notes = (*prepared.told, *runs.notes(prepared))
    return _ended(await runs.execute(prepared, SilentWatcher()), notes, max_failures)


async def aregrade(
    run: RunPath,
    *,
    judge: Names = (),
    graders: Names = (),
    primary: bool = False,
    judge_base_url: str | None = None,
    judge_api_key_env: str | None = None,
    judge_method: Method | None = None,
    max_connections: int | None = None,
    max_cost: float | None = None,
    max_requests: int | None = None,
    max_failures: float = 0.05,
    timeout: float = 300.0,  # noqa: ASYNC109  of one attempt at a request, not of this call
) -> Run:
    """Grade the replies of a run by other judges or graders: `misalign-eval regrade`. The target is not asked again.

    Reports show the new grades with `primary=True`, or by `use_judge`. Raises as `arun` does.
    """
    settings = load_settings(Path.cwd())
    _refuse_keys(settings, {"judge": judge, "judge_base_url": judge_base_url}, (judge_api_key_env,))
    options = regrades.RegradeOptions(
        run=_path(run),
        graders=_several(graders),
        judges=_several(judge),
        judge_at=TargetAddress(judge_base_url, judge_api_key_env),
        method=judge_method,
        make_primary=primary,
        limits=_limits(settings, max_connections, max_cost, max_requests, timeout),
        handles_signals=False,
    )
    return _ended(await regrades.regrade(options, settings, SilentWatcher()), (), max_failures)


def _wait(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end: here, or where a loop is running already (a notebook) in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    return _Thread(work).result()


class _Thread(Generic[Result]):
    """A thread with a loop of its own. An exception in the thread that waits, such as Ctrl-C, cancels the work."""

    def __init__(self, work: Coroutine[Any, Any, Result]) -> None:
        self._work = work
        self._runner = asyncio.Runner()
        self._task: asyncio.Task[Any] | None = None
        self._results: list[Result] = []
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._carry_out,), daemon=True)

    def result(self) -> Result:
        """Wait for it. Raises what the work raises."""
        self._thread.start()
        try:
            self._thread.join()
        except BaseException:
            if self._task is not None:
                self._runner.get_loop().call_soon_threadsafe(self._task.cancel)
            self._thread.join()
            raise
        if self._errors:
            raise self._errors[0]
        return self._results[0]

    def _carry_out(self) -> None:
        try:
            with self._runner as runner:
                self._results.append(runner.run(self._named()))
        except BaseException as error:  # noqa: BLE001  raised again by the thread that waits
            self._errors.append(error)

    async def _named(self) -> Result:
        self._task = asyncio.current_task()
        return await self._work


def _blocking(name: str, work: Callable[Arguments, Coroutine[Any, Any, Result]]) -> Callable[Arguments, Result]:
    """The same function with the same arguments, for callers that wait; works inside a running loop, too."""

    @wraps(work)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return _wait(work(*args, **kwargs))

    call.__name__ = call.__qualname__ = name
    return call


run = _blocking("run", arun)
regrade = _blocking("regrade", aregrade)


def report(
    run: RunPath,
    *,
    definition: str | None = None,
    use_judge: Mapping[str, str] | None = None,
    split: str | None = None,
    interval: Estimand = "suite",
    sensitivity: bool = False,
) -> RunSummary:
    """Count a run from its rows: what `report --format json` prints. Rates are fractions in [0, 1].

    `use_judge` names the grades to read, as grader to identity or `provider/model`. Writes nothing. Raises UsageError
    for choices that do not fit the run.
    """
    return reports.report(_path(run), Choices(definition, use_judge or {}, split, interval, sensitivity)).summary


def compare(
    before: RunPath,
    after: RunPath,
    *,
    definition: str | None = None,
    use_judge: Mapping[str, str] | None = None,
    split: str | None = None,
    interval: Estimand = "suite",
    sensitivity: bool = False,
) -> Comparison:
    """Compare two runs over the prompts that they share. `difference` is after less before, in [-1, 1].

    Raises UsageError for runs that cannot be compared.
    """
    choices = Choices(definition, use_judge or {}, split, interval, sensitivity)
    return reports.compare([_path(before), _path(after)], choices)[0]


def gate(
    run: RunPath | Sequence[RunPath],
    *,
    baseline: RunPath | None = None,
    max_rate: str | float | None = None,
    max_increase: str | float | None = None,
    policy: str | Path | Policy | None = None,
    definition: str | None = None,
) -> Gate:
    """Decide by a policy, or by limits; `verdict` is "pass", "fail" or "inconclusive". Several runs are pooled.

    `max_rate` is "2%" or 0.02, `max_increase` over the baseline "1pp" or 0.01. The look is kept in the run's
    looks.jsonl, as by the command. Raises UsageError for a policy that nothing could pass or that does not fit the run.
    """
    limits = baselines.from_flags(baselines.Flags(max_rate, max_increase))
    if policy is not None and limits is not None:
        raise UsageError("policy says what is checked: leave out max_rate and max_increase")
    chosen = policy if isinstance(policy, Policy) or policy is None else baselines.load(Path(policy))
    pooled = [run] if isinstance(run, Run | str | Path) else run
    base = None if baseline is None else _path(baseline)
    paths = tuple(_path(item) for item in pooled)
    return gates.gate(gates.GateOptions(paths, chosen or limits, base, Choices(definition)))


def show(
    run: RunPath,
    *,
    outcome: Names = (),
    misaligned: bool = False,
    probe: Names = (),
    category: Names = (),
    grep: str | None = None,
    limit: int | None = None,
    offset: int = 0,
    definition: str | None = None,
) -> ReplyExamples:
    """Read replies with their prompts, outcomes and grades: `examples`, and in `matching` how many fit without `limit`.

    `misaligned` takes whatever the definition counts so; `grep` is a regular expression, in any case. Replies are
    hostile text. Raises UsageError for a filter that nothing in the run can fit.
    """
    _check_counts(limit=limit)
    if offset < 0:
        raise UsageError(f"offset={offset}: at least 0")
    wanted = shows.Filter(
        outcomes=_several(outcome),
        misaligned=misaligned,
        probes=_several(probe),
        categories=_several(category),
        grep=grep,
        limit=limit,
        offset=offset,
    )
    return shows.show(_path(run), wanted, Choices(definition))


def provider(name: str) -> Callable[[Factory], Factory]:
    """Register a provider in this process: what it decorates takes a ModelSpec and gives a Provider.

    Targets and judges are then called `name/model`. Raises UsageError for a name that is taken.
    """

    def register(factory: Factory) -> Factory:
        plugins.register("providers", name, factory)
        return factory

    return register


def rule(name: str) -> Callable[[Rule], Rule]:
    """Register a rule in this process: a function of a Subject and options that gives a Verdict or a NoVerdict.

    Suites name it as any other grader. A digest of its source is part of its identity, so that a function that was
    changed is another grader. Raises UsageError for a name that is taken.
    """

    def register(function: Rule) -> Rule:
        if name in build.names(suites.own_graders()):
            raise UsageError(f"grader `{name}` is there already. Choose another name")
        plugins.register("graders", name, of_function(name, function))
        return function

    return register


def _path(run: RunPath) -> Path:
    return run.path if isinstance(run, Run) else Path(run)


def _several(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _value(grade: Graded | Ungraded | None) -> float | str | None:
    if not isinstance(grade, Graded):
        return None
    return grade.label if grade.score is None else grade.score


def _check_counts(**given: int | None) -> None:
    for name, number in given.items():
        if number is not None and number < 1:
            raise UsageError(f"{name}={number}: at least 1")


def _refuse_keys(settings: Settings, given: Mapping[str, Names | None], variables: Sequence[str | None]) -> None:
    """Look for keys in what would be written down. Raises UsageError for one."""
    named = [*filter(None, variables), *settings.secret_variables]
    keys.reject_keys_in_arguments({name: _several(texts) for name, texts in given.items() if texts}, named)


def _limits(
    settings: Settings, connections: int | None, cost_usd: float | None, requests: int | None, attempt_s: float
) -> RequestLimits:
    _check_counts(max_connections=connections, max_requests=requests)
    return RequestLimits.of(connections or settings.run.max_connections, cost_usd, requests, attempt_s)


def _ended(outcome: runs.RunOutcome, notes: Sequence[str], max_failures: float) -> Run:
    """The run with its derived files. Raises RunStoppedError when it is not complete."""
    folder = outcome.folders[0]
    reports.write_derived(folder.path, reports.report(folder.path))
    documents.refresh(folder.path)
    if isinstance(outcome.stopped_by, RunStoppedError):
        raise outcome.stopped_by
    state = completeness(folder, outcome.regraded)
    if not state.is_complete(max_failures):
        lost = f"{state.words}, {state.ungraded} of {state.judgments} judgments hold no verdict"
        raise RunStoppedError(f"{folder.path} is not complete: {lost}. What came is kept; call again to go on")
    return Run(folder.path, (*notes, *outcome.notes))
