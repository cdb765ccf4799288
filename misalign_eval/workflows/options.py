"""Options of `run`, and the names of run folders."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from misalign_eval.client.caller import RetryPolicy
from misalign_eval.graders.folder import Method
from misalign_eval.plan import Selection
from misalign_eval.records.policy import Policy, Stopping
from misalign_eval.records.protocols import ModelSpec
from misalign_eval.records.run import Shard
from misalign_eval.records.suite import Sampling, Suite

if TYPE_CHECKING:
    from misalign_eval.analysis.gate.scope import GateSide


# Options of `run`: the flags of the command line as one value.


@dataclass(frozen=True, slots=True)
class TargetAddress:
    """Address of the targets or of the judges, by flags."""

    base_url: str | None = None
    api_key_env: str | None = None
    served_as: tuple[str, ...] = ()  # names and patterns by which the models that answer may call themselves


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Bounds on requests, in flight and in all."""

    max_connections: int = 50
    max_cost_usd: float | None = None
    max_requests: int | None = None
    retry: RetryPolicy = RetryPolicy()

    @classmethod
    def of(
        cls, max_connections: int | None, max_cost_usd: float | None, max_requests: int | None, attempt_s: float
    ) -> "RequestLimits":
        """The usual bounds where None is given; a request may take three times as long in all as one attempt at it."""
        retry = RetryPolicy(attempt_s=attempt_s, total_s=3 * attempt_s)
        return cls(max_connections or cls().max_connections, max_cost_usd, max_requests, retry)


@dataclass(frozen=True, slots=True)
class StopRule:
    """When `--stop-when-decided` stops: a policy, and the baseline as it was read."""

    policy: Policy
    baseline: "GateSide | None" = None
    baseline_path: Path | None = None
    baseline_digest: str | None = None

    def declared(self, cap: int) -> Stopping:
        """What is written down before the first reply."""
        return Stopping(policy=self.policy, cap=cap, baseline=self.baseline_digest)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Everything `run` was told. `max_failures` is the share of planned replies that may stay without one."""

    suites: tuple[str | Suite, ...]  # names and files, or suites that are there already
    targets: tuple[str, ...]
    target_at: TargetAddress = TargetAddress()
    judges: tuple[str, ...] = ()
    judge_at: TargetAddress = TargetAddress()
    method: Method | None = None  # how 0-100 graders are read; None: as the judge allows
    judge_sampling: Sampling = Sampling()  # how judges are asked, in place of what their graders say
    samples: int | None = None
    seed: int | None = None
    sampling: Sampling = Sampling()
    definition: str | None = None
    mapped: Mapping[str, str] = field(default_factory=dict)  # columns of tables of questions, ours to theirs
    selection: Selection = field(default_factory=Selection)
    out: Path | None = None
    resume: bool = False
    limits: RequestLimits = RequestLimits()
    max_failures: float = 0.05
    stop: StopRule | None = None  # end as soon as this is decided
    shard: Shard | None = None  # ask only this part of every plan
    labels: Mapping[str, str] = field(default_factory=dict)
    handles_signals: bool = True  # False: the calling program stops the run, by cancelling it


# Names of run folders.


RESULTS = Path("results")


def file_name(text: str) -> str:
    """A file name that people recognise: letters, digits, dots, dashes.

    >>> file_name("ft:gpt-4.1-mini:org::Abc/x")
    'ft-gpt-4.1-mini-org-Abc-x'
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.") or "model"


def default_out(suites: Sequence[str], specs: Sequence[ModelSpec], now: datetime) -> Path:
    """Where results go when the user does not say: `results/quick-gpt-5.4-20261123-141500`."""
    target = [file_name(specs[0].given or specs[0].model)] if len(specs) == 1 else []
    return RESULTS / "-".join([*(file_name(suite) for suite in suites), *target, f"{now:%Y%m%d-%H%M%S}"])


def folders(suites: Sequence[str], specs: Sequence[ModelSpec], out: Path) -> tuple[tuple[Path, ...], ...]:
    """A row a suite, a column a target. One run goes to `out` itself, several to folders in it."""
    if len(suites) == len(specs) == 1:
        return ((out,),)
    inside = [out / file_name(suite) if len(suites) > 1 else out for suite in suites]
    return tuple(tuple(folder / name for name in target_names(specs)) for folder in inside)


def target_names(specs: Sequence[ModelSpec]) -> list[str]:
    """The name in misalign-eval.yaml, or the model's; with the provider before it, or a number behind, where needed."""
    short = [file_name(spec.given or spec.model) for spec in specs]
    often = Counter(short)
    names = [name if often[name] == 1 else file_name(spec.name) for name, spec in zip(short, specs, strict=True)]
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return unique
