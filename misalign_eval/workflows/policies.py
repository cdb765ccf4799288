"""A policy, from its file or from the flags that make the same."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue, ValidationError

from misalign_eval.analysis.gate_cells import Side
from misalign_eval.errors import UsageError
from misalign_eval.records.plan import Plan
from misalign_eval.records.policy import Check, DifferenceCheck, MaxProbeCheck, Policy, RateCheck, schema
from misalign_eval.records.run import RunManifest, TargetInfo
from misalign_eval.records.served import matches, mixed, strangers
from misalign_eval.workflows.counting import Choices, Counted, count


@dataclass(frozen=True, slots=True)
class Flags:
    """`--max-rate`, `--max-increase`, `--max-probe`, as typed."""

    max_rate: str | None = None
    max_increase: str | None = None
    max_probe: str | None = None


def load(path: Path) -> Policy:
    """Read a policy file. Raises InputError with every problem and its line."""
    from misalign_eval import yaml_source

    if not path.exists():
        raise UsageError(f"--policy {path}: not there")
    return yaml_source.parse(yaml_source.load(path), Policy)


def schema_text() -> str:
    """The JSON Schema of policy files, as it lies beside the suites for editors."""
    from misalign_eval.suites.json_schema import written

    return written(schema(), "Policy of a gate for misalign-eval")


def from_flags(flags: Flags) -> Policy | None:
    """The policy that flags describe; None without any. Raises UsageError for a limit that nothing could pass."""
    given: Mapping[str, tuple[type[RateCheck | DifferenceCheck | MaxProbeCheck], str, str | None]] = {
        "--max-rate": (RateCheck, "limit", flags.max_rate),
        "--max-increase": (DifferenceCheck, "margin", flags.max_increase),
        "--max-probe": (MaxProbeCheck, "limit", flags.max_probe),
    }
    kinds = {RateCheck: "rate", DifferenceCheck: "difference", MaxProbeCheck: "max-probe"}
    checks: list[Check] = []
    for flag, (record, field, text) in given.items():
        if text is None:
            continue
        try:
            checks.append(record.model_validate({"kind": kinds[record], field: text}))
        except ValidationError as error:
            why = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise UsageError(f"{flag} {text}: {why}") from error
    return Policy(checks=tuple(checks)) if checks else None


def check_pins(policy: Policy, asked: RunManifest | Plan, target: TargetInfo) -> None:
    """Raise UsageError for another suite or target than the policy pins, whatever its name and version say."""
    suite = {"name": asked.suite, "version": asked.suite_version, "digest": asked.suite_digest}
    there = {"name": target.name, "digest": target.digest, "host": target.host}
    for what, pin, found in (("suite", policy.suite, suite), ("target", policy.target, there)):
        wanted = pin.model_dump(exclude_none=True, exclude={"sampling"}) if pin else {}
        if isinstance(asked, Plan):
            wanted.pop("host", None)  # known once the target is asked
        wrong = [name for name, value in wanted.items() if not _is(name, found[name], value)]
        if wrong:
            differs = "; ".join(f"{name} {found[name]}, and the policy pins {wanted[name]}" for name in wrong)
            raise UsageError(f"{what} {found['name']}: {differs}. `gate RUN --pins` prints what a run was made with")
    given = _sampling(asked)
    if policy.suite and policy.suite.digest and given != policy.suite.sampling:
        but = f" but for {json.dumps(policy.suite.sampling)}" if policy.suite.sampling else ""
        was = json.dumps(given) if given else "what the suite says"
        raise UsageError(
            f"suite {asked.suite}: the policy pins what it holds, with its sampling{but}, and the run was sampled with "
            f"{was} by flags or settings. `suite: {{sampling: …}}` in the policy pins other values; `gate RUN --pins` "
            "prints them"
        )


def _sampling(asked: RunManifest | Plan) -> dict[str, JsonValue]:
    """What was set in place of the suite's sampling. More samples, or fewer, change no reply."""
    overrides = asked.overridden if isinstance(asked, Plan) else asked.overrides
    return {name: value for name, value in overrides.items() if name != "samples"}


def _is(name: str, found: str, pinned: str) -> bool:
    return found.startswith(pinned) if name == "digest" else found == pinned


def pins(run: Path) -> str:
    """What a run was made with and is read by, as lines for a policy. Raises UsageError for what is no run."""
    counted = count(run, Choices(), whole=True)
    manifest, source = counted.folder.manifest, counted.provenance
    lines: dict[str, JsonValue] = {
        "suite": {
            "name": manifest.suite,
            "version": manifest.suite_version,
            "digest": manifest.suite_digest,
            **({"sampling": sampling} if (sampling := _sampling(manifest)) else {}),
        },
        "target": {"name": manifest.target.name, "digest": manifest.target.digest},
        "definition": source.definition,
        "judge": dict(source.graders),
    }
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in lines.items() if value)


def reading(policy: Policy, choices: Choices) -> Choices:
    """How to read the runs: as the policy pins it. Raises UsageError where the command line says otherwise."""
    if policy.definition and choices.definition not in {None, policy.definition}:
        raise UsageError(f"--definition {choices.definition}: the policy pins `{policy.definition}`")
    for grader, identity in choices.use_judge.items():
        if policy.judge.get(grader, identity) != identity:
            raise UsageError(f"--use-judge {grader}={identity}: the policy pins {policy.judge[grader]}")
    definition = policy.definition or choices.definition
    return replace(choices, definition=definition, use_judge={**choices.use_judge, **policy.judge})


def mixtures(policy: Policy, runs: Sequence[Counted], baseline: Side | None) -> tuple[str, ...]:
    """Which of target, judges and baseline several models answered for, in words; not those of `same_model`."""
    found: dict[str, tuple[str, ...]] = {}
    known = [run.tally.answers for run in runs if run.tally.answers is not None]
    target = runs[0].folder.manifest.target
    replies = [name for answers in known for name in answers.replies]
    found[f"replies of the target {target.name}"] = mixed(target.provider, target.model, replies, policy.same_model)
    for judge in dict.fromkeys(name for answers in known for judges in answers.judges.values() for name in judges):
        provider, _, model = judge.partition("/")
        names = [one for answers in known for judges in answers.judges.values() for one in judges.get(judge, ())]
        found[f"verdicts of the judge {judge}"] = mixed(provider, model, names, policy.same_model)
    if baseline is not None:
        provider, _, model = baseline.provenance.target.partition("/")
        found["replies of the baseline"] = mixed(provider, model, baseline.answered, policy.same_model)
    return tuple(_mixture(what, names) for what, names in found.items() if names)


def _mixture(what: str, names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    setting = json.dumps(list(names[:5]), ensure_ascii=False)
    return (
        f"{what} came from several models: {shown}. A gate is about one. If these names stand for one model, "
        f"`same_model: {setting}` in the policy says so"
    )


def check_served(policy: Policy, run: Counted) -> None:
    """Target and judges that a policy pins must also be the models that answered, or names of its `same_model`.

    Raises UsageError for another one.
    """
    answers = run.tally.answers
    if answers is None:
        return
    target = run.folder.manifest.target
    others = _others(policy, target.provider, target.model, answers.replies)
    if policy.target is not None and others:
        raise UsageError(
            f"{run.folder.path}: the policy pins the target {target.name}, and replies came from another model: "
            f"{', '.join(f'`{name}`' for name in others[:5])}"
        )
    for grader in policy.judge:
        for judge, names in answers.judges.get(grader, {}).items():
            provider, _, model = judge.partition("/")
            if others := _others(policy, provider, model, names):
                found = ", ".join(f"`{name}`" for name in others[:5])
                raise UsageError(
                    f"{run.folder.path}: the policy pins the judge of `{grader}`, {judge}, and its verdicts came from "
                    f"another model: {found}"
                )


def _others(policy: Policy, provider: str, model: str, served: Iterable[str]) -> list[str]:
    found = strangers(provider, model, served)
    return [name for name in found if not any(matches(known, name) for known in policy.same_model)]
