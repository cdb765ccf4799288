"""What a run was asked to do: the command line's flags as one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from misalign_eval.graders.spec import Method
from misalign_eval.plan import Selection
from misalign_eval.records.gate import Stopping
from misalign_eval.records.policy import Policy
from misalign_eval.records.run import Shard
from misalign_eval.records.suite import Sampling
from misalign_eval.replies.retry import RetryPolicy

if TYPE_CHECKING:
    from misalign_eval.analysis.gate_cells import Side


@dataclass(frozen=True, slots=True)
class Address:
    """Where the models of one kind live, when the flags say so."""

    base_url: str | None = None
    api_key_env: str | None = None
    served_as: tuple[str, ...] = ()  # names and patterns by which the models that answer may call themselves


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on requests, in flight and in all."""

    max_connections: int = 50
    max_cost_usd: float | None = None
    max_requests: int | None = None
    retry: RetryPolicy = RetryPolicy()


@dataclass(frozen=True, slots=True)
class StopRule:
    """When `--stop-when-decided` stops: a policy, and the baseline as it was read."""

    policy: Policy
    baseline: "Side | None" = None
    baseline_path: Path | None = None
    baseline_digest: str | None = None

    def declared(self, cap: int) -> Stopping:
        """What is written down before the first reply."""
        return Stopping(policy=self.policy, cap=cap, baseline=self.baseline_digest)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Everything `run` was told. `max_failures` is the share of planned replies that may stay without one."""

    suites: tuple[str, ...]
    targets: tuple[str, ...]
    target_at: Address = Address()
    judges: tuple[str, ...] = ()
    judge_at: Address = Address()
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
    limits: Limits = Limits()
    max_failures: float = 0.05
    stop: StopRule | None = None  # end as soon as this is decided
    shard: Shard | None = None  # ask only this part of every plan
    labels: Mapping[str, str] = field(default_factory=dict)
