"""Options that several commands share: of commands that ask models, and of commands that read runs."""

import os
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

import typer

from misalign_eval.cli.output import fitted, format_of
from misalign_eval.errors import NoScoreError, OtherModelError, UnreadJudgeError, UsageError, did_you_mean
from misalign_eval.reports.escape import plain

if TYPE_CHECKING:
    from misalign_eval.graders.folder import Method
    from misalign_eval.records.run import Shard
    from misalign_eval.records.suite import Sampling
    from misalign_eval.records.summary import Estimand
    from misalign_eval.settings import Role, Settings
    from misalign_eval.workflows.load_run import Choices
    from misalign_eval.workflows.options import StopRule, TargetAddress
    from misalign_eval.workflows.run import RunOutcome


# Options of commands that ask models, and the report of how a run ended.


JudgeTemperature = Annotated[
    float | None, typer.Option(min=0, max=2, help="Of judges that answer in words, in place of their grader's.")
]
JudgeMaxTokens = Annotated[
    int | None, typer.Option(min=1, help="Of judges that answer in words, in place of their grader's.")
]
JudgeEffort = Annotated[str | None, typer.Option(help="Reasoning effort of the judges, as their API names it.")]
# What says how a judge is asked. Without a judge, none of it is used.
JUDGE_FLAGS = (
    "judge_base_url", "judge_api_key_env", "judge_served_as", "judge_method", "judge_temperature", "judge_max_tokens",
    "judge_effort",
)  # fmt: skip
METHODS: dict[str, "Method | None"] = {"auto": None, "logprobs": "logprobs", "sampled": "sampled"}
INCOMPLETE = 4
SETTINGS_TOLD = 10


def chosen_method(name: str) -> "Method | None":
    """`--judge-method`. Raises UsageError."""
    if name not in METHODS:
        raise UsageError(f"--judge-method {name}: {did_you_mean(name, list(METHODS))}")
    return METHODS[name]


def judge_sampling(temperature: float | None, max_tokens: int | None, effort: str | None) -> "Sampling":
    """`--judge-temperature`, `--judge-max-tokens` and `--judge-effort`."""
    from misalign_eval.records.suite import Sampling

    return Sampling(temperature=temperature, max_tokens=max_tokens, reasoning_effort=effort)


def refuse_keys(typed: Mapping[str, object], settings: "Settings") -> None:
    """Look for keys in the parameters of a command, by name. Raises UsageError for one."""
    from misalign_eval.providers import keys

    flags = {
        f"--{name.replace('_', '-')}": [str(item) for item in (value if isinstance(value, list | tuple) else [value])]
        for name, value in typed.items()
        if value is not None
    }
    flags["SUITE"] = flags.pop("--suite", [])
    named = [*flags.get("--api-key-env", ()), *flags.get("--judge-api-key-env", ())]
    keys.reject_keys_in_arguments(flags, [*named, *settings.secret_variables])


def labels(given: Sequence[str]) -> dict[str, str]:
    """`--label key=value`. Raises UsageError for one without `=`."""
    pairs = [item.partition("=") for item in given]
    if wrong := [key for key, equals, _ in pairs if not (key and equals)]:
        raise UsageError(f"--label {wrong[0]}: write NAME=VALUE, such as step=20")
    return {key: value for key, _, value in pairs}


def chosen_shard(given: str | None) -> "Shard | None":
    """`--shard 2/4`. Raises UsageError."""
    if given is None:
        return None
    from misalign_eval.records.run import Shard

    index, slash, count = given.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise UsageError(f"--shard {given}: write I/N with I from 1 to N, such as 2/4")
    return Shard(index=int(index), count=int(count))


def stop_rule(policy: Path | None, baseline: Path | None, *, asked: bool) -> "StopRule | None":
    """The rule of --stop-when-decided. Raises UsageError for flags that do not go together, InputError for the file."""
    if not asked:
        if policy or baseline:
            raise UsageError("--policy and --baseline go with --stop-when-decided; `gate` decides about a finished run")
        return None
    if policy is None:
        raise UsageError("--stop-when-decided needs --policy FILE")
    from misalign_eval.workflows.live import load_stop_rule

    return load_stop_rule(policy, baseline)


def print_note(text: str) -> None:
    """A line about the work, on standard error."""
    sys.stderr.write(f"{fitted(plain(text), sys.stderr)}\n")


def print_settings(settings: "Settings", names: Sequence[str], at: "TargetAddress", role: "Role") -> None:
    """Before anything is sent: which host, key, headers and program come from misalign-eval.yaml, and from which.

    The same for hosts that a variable of the environment or of a `.env` decides. Raises UsageError for names that stand
    for no model.
    """
    from misalign_eval.providers.endpoints import moved
    from misalign_eval.providers.keys import HEADER_VARIABLES
    from misalign_eval.reports.escape import one_line
    from misalign_eval.settings import find, resolve, told

    for name in dict.fromkeys(names):
        if line := told(name, settings, base_url=at.base_url, api_key_env=at.api_key_env, role=role):
            print_note(one_line(f"{line}, says {find(Path.cwd())}"))
        spec = resolve(name, settings, base_url=at.base_url, role=role)
        if where := moved(spec):
            print_note(one_line(f"{'target' if role == 'targets' else 'judge'} {name}: asks {spec.name} {where}"))
        if (variable := HEADER_VARIABLES.get(spec.provider, "")) in os.environ:
            print_note(one_line(f"{spec.name}: {variable} is set, and its headers are not sent"))


def print_graders() -> None:
    """Which graders are not the bundled ones, though they are called so."""
    from misalign_eval.workflows.load_suite import replaced_graders

    for name in replaced_graders():
        print_note(f"graders/{name} here takes the place of the bundled grader `{name}`")


def resume_command(out: Path) -> str:
    """This command again, as one that goes on where it stopped."""
    arguments = sys.argv[1:]
    if not any(argument == "--out" or argument.startswith("--out=") for argument in arguments):
        arguments += ["--out", str(out)]
    if "--resume" not in arguments:
        arguments += ["--resume"]
    return f"misalign-eval {shlex.join(arguments)}"


def resampled(command: str) -> str:
    """The same command, with judges that are read by sampled answers."""
    words = shlex.split(command)
    if "--judge-method" in words:
        words[words.index("--judge-method") + 1] = "sampled"
        return shlex.join(words)
    words = [word for word in words if not word.startswith("--judge-method=")]
    return shlex.join([*words, "--judge-method", "sampled"])


def _next(why: BaseException | Signals, again: str) -> str:
    """What to type after a stop: a command that does not stop the same way."""
    if isinstance(why, OtherModelError):
        return f"To go on, if it is the model that you mean:\n  {again} {why.accept}"
    if isinstance(why, NoScoreError):
        return f"To go on:\n  {resampled(again)}"
    other = "`regrade` puts the replies before another judge. " if isinstance(why, UnreadJudgeError) else ""
    mended = "" if isinstance(why, Signals) else ", once that is mended"
    return f"{other}To go on{mended}:\n  {again}"


def exit_with(ended: "RunOutcome", *, allowed_failures: float, again: str) -> None:
    """Say how it ended and what to type next. Raises typer.Exit with the code when it is not complete."""
    from misalign_eval.workflows.completeness import completeness

    for note in ended.notes:
        print_note(note)
    lacking = [completeness(folder, ended.regraded) for folder in ended.folders]
    if (why := ended.stopped_by) is not None:
        print_note(f"stopped by {why.name}" if isinstance(why, Signals) else f"stopped: {why}")
        print_note("\n".join(f"  {item.words}" for item in lacking))
        print_note(f"Every answer that came is kept. `report` shows it. {_next(why, again)}")
        raise typer.Exit(128 + why if isinstance(why, Signals) else INCOMPLETE)
    for item in lacking:
        for setting, replies in item.dropped[:SETTINGS_TOLD]:
            print_note(f"{item.name}: the target did not take {setting} ({replies} of {item.replies} replies)")
        for setting, judgments in item.dropped_by_judges[:SETTINGS_TOLD]:
            print_note(f"{item.name}: the judge did not take {setting} ({judgments} of {item.judgments} judgments)")
        if item.lacks:
            print_note(f"{item.words}\nTo ask for them again:\n  {again}")
        if item.ungraded > allowed_failures * item.judgments:
            lost = f"{item.ungraded} of {item.judgments} judgments hold no verdict"
            print_note(f"{item.name}: {lost}; `show {item.name} --ungraded` says why")
    if not all(item.is_complete(allowed_failures) for item in lacking):
        raise typer.Exit(INCOMPLETE)


# Options of commands that read runs.


DefinitionOption = Annotated[
    str | None, typer.Option("--definition", help="Count by this preset or file, not by the run's own definition.")
]
JudgeOption = Annotated[
    list[str] | None,
    typer.Option("--use-judge", help="Read these grades, as GRADER=IDENTITY or GRADER=provider/model; repeatable."),
]
SplitOption = Annotated[str | None, typer.Option("--split", help="Average over broad, in-domain, control or all.")]
ByOption = Annotated[list[str] | None, typer.Option("--by", help="Only this breakdown, whole; repeatable.")]
FormatOption = Annotated[str, typer.Option("--format", help="What to print: text, json, markdown or html.")]
CiFormatOption = Annotated[
    str,
    typer.Option("--format", help="What to print: text, json, markdown, html; for CI also junit, comment, github."),
]
FilesOption = Annotated[
    list[Path] | None, typer.Option("-o", "--output", help="Also write this file; its extension names the format.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="OURS=COLUMN",
        help="Read a column of a question table as ours: question, reference (the expected answer), category, id, "
        "choices, system, context, criteria, split, tags, source; repeatable.",
    ),
]
IntervalOption = Annotated[
    str,
    typer.Option(
        "--interval",
        help="suite: for exactly these probes; general: for probes like these; clustered: bootstrap, as in papers.",
    ),
]
SensitivityOption = Annotated[
    bool, typer.Option("--sensitivity", help="Also count in every other way: definitions, thresholds, unknown replies.")
]
INTERVALS: "tuple[Estimand, ...]" = ("suite", "general", "clustered")
Name = TypeVar("Name", bound=str)


def choices(
    definition: str | None,
    use_judge: Sequence[str] | None,
    split: str | None,
    interval: str = "suite",
    *,
    sensitivity: bool = False,
) -> "Choices":
    """The options as one value. Raises UsageError for a --use-judge without `=` or an unknown interval."""
    from misalign_eval.workflows.load_run import Choices

    judges = {}
    for given in use_judge or ():
        grader, equals, identity = given.partition("=")
        if not (grader and equals and identity):
            raise UsageError(f"--use-judge {given}: write GRADER=IDENTITY, such as aligned=openai/gpt-4.1")
        judges[grader] = identity
    for known in INTERVALS:
        if interval == known:
            return Choices(definition, judges, split, known, sensitivity)
    raise UsageError(f"--interval {interval}: no such interval. {did_you_mean(interval, INTERVALS)}")


def breakdowns(given: Sequence[str] | None, known: Sequence[Name]) -> tuple[Name, ...]:
    """The --by options, each once. Raises UsageError for one that is not known."""
    for name in given or ():
        if name not in known:
            raise UsageError(f"--by {name}: no such breakdown. {did_you_mean(name, known)}")
    return tuple(name for name in known if name in (given or ()))


def named_groups(given: Sequence[str]) -> dict[str, list[Path]]:
    """The --group options, as `before=R1,R2`; a name that is given again adds its runs. Raises UsageError."""
    named: dict[str, list[Path]] = {}
    for item in given:
        name, equals, runs = item.partition("=")
        paths = [part.strip() for part in runs.split(",")]
        if not (name.strip() and equals and all(paths)):
            raise UsageError(f"--group {item}: write NAME=RUN,RUN, such as before=results/base-1,results/base-2")
        named.setdefault(name.strip(), []).extend(map(Path, paths))
    return named


def numbers(given: str) -> tuple[float, ...]:
    """The option --x, as `0,20,40`. Raises UsageError."""
    from math import isfinite

    found = []
    for part in given.split(","):
        try:
            value = float(part)
        except ValueError:
            value = float("nan")
        if not isfinite(value):
            raise UsageError(f"--x {given}: `{part.strip()}` is no number. Write one for each run, as 0,20,40")
        found.append(value)
    return tuple(found)


def map_pairs(given: Sequence[str]) -> dict[str, str]:
    """`--map ours=theirs`. Raises UsageError."""
    found: dict[str, str] = {}
    for item in given:
        ours, equals, theirs = item.partition("=")
        if not (ours and equals and theirs):
            raise UsageError(f"--map {item}: write OURS=THEIRS, such as question=goal")
        if ours in found or theirs in found.values():
            raise UsageError(f"--map {item}: `{ours}` or `{theirs}` is mapped already")
        found[ours] = theirs
    return found


TEXTS = ("text", "markdown")
RATES = (*TEXTS, "json", "html", "comment", "github")
SHOWN_IN: Mapping[str, Collection[str]] = {  # what only some formats have a place for; a page always holds every probe
    "by": TEXTS,
    "sensitivity": (*TEXTS, "json"),
    "interval": RATES,
}
CALLED_DIRECTLY = cast("typer.Context", None)  # by a program, which has typed no options


def refuse_unused(context: typer.Context, names: Collection[str], why: str) -> None:
    """Refuse options that were typed and that this way of using the command does not read. Raises UsageError."""
    for name in names if context is not CALLED_DIRECTLY else ():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            flag = next((param.opts[0] for param in context.command.params if param.name == name), f"--{name}")
            raise UsageError(f"{flag} is not used here: {why}. Leave it out")


def refuse_unshown(
    context: typer.Context, fmt: str, files: Sequence[Path], shown_in: Mapping[str, Collection[str]] = SHOWN_IN
) -> None:
    """Refuse options that none of the formats that are asked for has a place for. Raises UsageError."""
    wanted = {fmt, *map(format_of, files)}
    for name, formats in shown_in.items():
        if wanted.isdisjoint(formats):
            refuse_unused(context, (name,), f"only {', '.join(formats)} have a place for it")
