"""Builds graders from their names, and estimates how many tokens a judge will write."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from misalign_eval import plugins
from misalign_eval.errors import InputError, Problem, UsageError, did_you_mean
from misalign_eval.graders import folder as grader_folder
from misalign_eval.graders import graders
from misalign_eval.graders.folder import GraderFolder, Method
from misalign_eval.graders.graders import (
    MAX_TOKENS,
    EnsembleGrader,
    JudgeGrader,
    LabelGrader,
    NamedGrader,
    RuleGrader,
    requests_per_reply,
)
from misalign_eval.graders.judge import Judge, requests
from misalign_eval.graders.judge_answers import JudgeAnswers
from misalign_eval.graders.rules import table
from misalign_eval.records.protocols import Capabilities, Grader, GraderFactory, JudgeHandle, JudgeHandles
from misalign_eval.records.run import ExpectedAnswer, Reads
from misalign_eval.records.suite import JudgeSpec, OwnGrader, RuleSpec

# Building of graders from the names in probes. Every error is found before the first request.


NO_RULES: Mapping[str, OwnGrader] = {}
NOT_OF_LOGPROBS = {
    "temperature": "its temperature (--judge-temperature)",
    "max_tokens": "its token limit (--judge-max-tokens)",
    "top_p": "its top_p",
    "stop": "its stop",
}


def names(search: Sequence[Path] = ()) -> list[str]:
    """Every grader that a probe may name without configuring it: rules, folders, installed ones; sorted.

    `search` are folders of grader folders besides the bundled one.
    """
    return sorted({*table.names(), *grader_folder.names(search), *plugins.names("graders")})


def check(
    wanted: Sequence[str],
    *,
    configured: Mapping[str, OwnGrader] = NO_RULES,
    file: str = "",
    search: Sequence[Path] = (),
) -> list[Problem]:
    """Everything wrong with the graders that a suite names and with the rules that it configures."""
    found = []
    for name, spec in configured.items():
        if isinstance(spec, RuleSpec) and spec.rule not in plugins.names("graders"):
            found += table.check_options(spec.rule, spec.options, file=file, where=f"rules.{name}")
    known = sorted({*names(search), *configured})
    for name in dict.fromkeys(wanted):
        if name in configured:
            continue
        if name in table.RULES:
            found += table.check_options(name, {}, file=file, where=name)
        elif name not in known:
            found.append(Problem(file, None, "", f"unknown grader `{name}`", did_you_mean(name, known)))
        elif name in grader_folder.names(search):
            found += _folder_problems(name, search)
    return found


def needs_judge(name: str, *, configured: Mapping[str, OwnGrader] = NO_RULES, search: Sequence[Path] = ()) -> bool:
    """Whether the grader cannot work without a judge. An installed one is taken at its word when it is built."""
    if name in configured:
        return isinstance(configured[name], JudgeSpec)
    return name not in table.RULES and name in grader_folder.names(search)


def build(
    wanted: Sequence[str],
    *,
    judges: JudgeHandles = (),
    configured: Mapping[str, OwnGrader] = NO_RULES,
    method: Method | None = None,
    search: Sequence[Path] = (),
) -> list[Grader]:
    """The graders, in the order of their names. Sends nothing.

    `configured` are the suite's own rules and judges by name, `method` forces how graders of kind logprobs are read.
    Several judges make an ensemble of each judge grader. Raises InputError with everything that `check` finds,
    MissingExtraError, and UsageError when a judge is needed and there is none.
    """
    problems = check(wanted, configured=configured, search=search)
    if problems:
        raise InputError(problems)
    judged = [name for name in wanted if needs_judge(name, configured=configured, search=search)]
    if judged and not judges:
        raise UsageError(
            f"{_listed(judged)} a judge, and there is no default one. "
            "Add --judge PROVIDER/MODEL, as in: --judge openai/gpt-5.4"
        )
    return [_one(name, judges, configured, method, search) for name in dict.fromkeys(wanted)]


def refuse_ignored(graders: Sequence[Grader], judges: JudgeHandles, method: Method | None = None) -> None:
    """Judges, a method to read them, and settings of theirs that none of the graders would use. Raises UsageError.

    `made` are the graders of everything that is asked at once, however many suites it has.
    """
    methods = {method for grader in graders for method in _methods(grader)}
    if judges and not methods:
        names = ", ".join(dict.fromkeys(f"`{grader.identity.grader}`" for grader in graders))
        raise UsageError(f"--judge {judges[0].spec.name}: nothing here asks a judge, only rules: {names}. Leave it out")
    if method is not None and methods and methods.isdisjoint({"logprobs", "sampled"}):
        raise UsageError(f"--judge-method {method} is not used here: no grader has a score to read so. Leave it out")
    for judge in judges:
        given = [name for name in NOT_OF_LOGPROBS if getattr(judge.spec.sampling, name) is not None]
        if given and methods == {"logprobs"}:
            names = " and ".join(NOT_OF_LOGPROBS[name] for name in given)
            raise UsageError(
                f"judge {judge.spec.name}: {names} would not be sent, since its graders are read from "
                "log-probabilities at temperature 0. Add --judge-method sampled, or leave the setting out"
            )


def _methods(grader: Grader) -> list[str]:
    """How the judges of a grader are read; nothing of a rule."""
    members = grader.members if isinstance(grader, EnsembleGrader) else [grader]
    return [] if grader.identity.kind == "rule" else [str(member.identity.settings.get("method")) for member in members]


def method_for(folder: GraderFolder, capabilities: Capabilities, force: Method | None = None) -> Method:
    """How a judge of these capabilities is read, decided before the first grade and kept: it is part of the identity.

    A grader of kind logprobs falls back to sampled answers when the judge is known to give no log-probabilities, or
    when `force` says so. Raises UsageError for a method that the grader's rubric is not written for.
    """
    kind = folder.spec.kind
    possible: tuple[Method, ...] = ("logprobs", "sampled") if kind in ("logprobs", "sampled") else (kind,)
    if force is not None and force in possible:
        return force
    if force is not None and kind in ("logprobs", "sampled"):
        raise UsageError(f"grader `{folder.spec.name}` cannot be read as `{force}`: choose {' or '.join(possible)}")
    return "sampled" if kind == "logprobs" and capabilities.logprobs is False else kind


def _one(
    name: str,
    judges: JudgeHandles,
    configured: Mapping[str, OwnGrader],
    method: Method | None,
    search: Sequence[Path],
) -> Grader:
    spec = configured.get(name, RuleSpec(rule=name))
    if isinstance(spec, JudgeSpec):
        return _joined(
            judges, lambda judge: graders.suite_judge_as_member(graders.SuiteJudgeName(name, spec), judge, method)
        )
    if spec.rule in table.RULES:
        return _rule(name, spec)
    if name not in configured and name in grader_folder.names(search):
        folder = grader_folder.load(grader_folder.find(name, search))
        return _joined(judges, lambda judge: _member(folder, judge, method_for(folder, judge.capabilities(), method)))
    factory: GraderFactory = plugins.load("graders", spec.rule)
    grader = factory(judges, spec.options)
    if grader.identity.grader == name:
        return grader
    return NamedGrader(grader.identity.model_copy(update={"grader": name}), grader)


def _rule(name: str, spec: RuleSpec) -> RuleGrader:
    info = table.RULES[spec.rule]
    return RuleGrader(
        graders.of_rule(name, spec.rule, info.version, spec.options),
        table.prepare(spec.rule, spec.options),
        table.is_slow(spec.rule, spec.options),
    )


def _joined(judges: JudgeHandles, member: Callable[[JudgeHandle], Grader]) -> Grader:
    """One judge as it is, several as an ensemble."""
    twice = [
        judge.spec.name for index, judge in enumerate(judges) if judge.spec in [judge.spec for judge in judges[:index]]
    ]
    if twice:
        raise UsageError(f"judge `{twice[0]}` is named twice: its two votes would be one")
    members = [member(judge) for judge in judges]
    if len(members) == 1:
        return members[0]
    return EnsembleGrader(graders.of_ensemble([member.identity for member in members]), members)


def _member(folder: GraderFolder, judge: JudgeHandle, method: Method) -> JudgeGrader:
    folder = folder.sampled_as(judge.spec.sampling)
    who = graders.of_judge(folder, judge, method)
    return JudgeGrader(who, Judge(folder, judge, JudgeAnswers.of(folder.spec)), method)


def _folder_problems(name: str, search: Sequence[Path]) -> list[Problem]:
    try:
        grader_folder.load(grader_folder.find(name, search))
    except InputError as error:
        return list(error.problems)
    return []


def _listed(graders: Sequence[str]) -> str:
    quoted = [f"`{name}`" for name in graders]
    if len(quoted) == 1:
        return f"grader {quoted[0]} needs"
    return f"graders {', '.join(quoted[:-1])} and {quoted[-1]} need"


# Estimate of the output tokens of a judge for one grade, by the kind of its answer.


TYPICAL_TOKENS: dict[Reads, int] = {
    "logprobs": 1,  # that many are asked for
    "sampled": 5,  # a number, and what stands around it
    "label": 5,  # a word or two
    "structured": 150,  # a JSON object with a reason of some sentences
    "rubric": 250,  # some paragraphs, then the verdict
    "unknown": 50,  # of a grader of another package
}


def answers(grader: Grader) -> tuple[ExpectedAnswer, ...]:
    """What each judge of this grader will write for one reply; nothing of a rule."""
    match grader:
        case EnsembleGrader(members=members):
            return tuple(answer for member in members for answer in answers(member))
        case NamedGrader(grader=inner, identity=who):
            return tuple(answer.model_copy(update={"grader": who.grader}) for answer in answers(inner))
        case JudgeGrader(method="logprobs"):
            return (_answer(grader, "logprobs", most=1),)
        case JudgeGrader(method=method, judge=judge):
            sampling = judge.folder.spec.sampling
            times = sampling.samples if method == "sampled" else 1
            count = requests(judge) if method == "sampled" else 1
            return (_answer(grader, method, times, count, most=sampling.max_tokens),)
        case LabelGrader(judge=own):
            return (_answer(grader, "label", most=own.own.max_tokens or MAX_TOKENS),)
    count = requests_per_reply(grader)
    return (_answer(grader, "unknown", count, count),) if count else ()


def _answer(grader: Grader, reads: Reads, times: int = 1, count: int = 1, *, most: int | None = None) -> ExpectedAnswer:
    """`times` answers in `count` requests, each of at most `most` tokens."""
    usual = TYPICAL_TOKENS[reads]
    return ExpectedAnswer(
        grader=grader.identity.grader,
        judge=str(grader.identity.judge),
        reads=reads,
        requests=count,
        answers=times,
        tokens=usual if most is None else min(usual, most),
        tokens_most=most,
    )
