"""Providers made ready to be asked: one limiter an account, one meter a run."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from misalign_eval.errors import ProviderFault, RunStoppedError, UsageError
from misalign_eval.providers.keys import refuse_keys
from misalign_eval.providers.prices import price_of
from misalign_eval.records.grade import judges_of
from misalign_eval.records.protocols import JudgeHandle, ModelRequest, ModelSpec, Provider, Response
from misalign_eval.records.reply import Reply
from misalign_eval.records.served import Served
from misalign_eval.records.suite import Sampling
from misalign_eval.registry import load
from misalign_eval.replies.caller import Caller
from misalign_eval.replies.limiter import Limiter
from misalign_eval.replies.meter import Meter
from misalign_eval.results.folder import RunFolder
from misalign_eval.settings import Role, Settings, resolve, sampling_of
from misalign_eval.workflows.options import Address, Limits

_UNSET = Sampling()
_FLAG = re.compile(r"(?<![\w-])--(base-url|api-key-env)\b")


def named(
    names: Sequence[str], at: Address, settings: Settings, role: Role, sampling: Sampling = _UNSET
) -> tuple[ModelSpec, ...]:
    """What the names of a flag stand for; `sampling` are the flags about how judges are asked, which win over the file.

    Raises UsageError for a name that stands for nothing, or holds a key.
    """
    flags = ("--target", "--base-url") if role == "targets" else ("--judge", "--judge-base-url")
    typed = dict(zip(flags, ([*names, *at.served_as], [at.base_url or ""]), strict=True))
    refuse_keys(typed, [at.api_key_env] if at.api_key_env else [])
    try:
        found = [resolve(name, settings, base_url=at.base_url, api_key_env=at.api_key_env, role=role) for name in names]
    except UsageError as error:
        raise UsageError(of_judge(str(error))) if role == "judges" else error from None
    specs = tuple(replace(spec, served_as=(*spec.served_as, *at.served_as)) for spec in found)
    if role == "targets":
        return specs
    return tuple(
        replace(spec, sampling=_sampling(sampling_of(name, settings, role), sampling))
        for name, spec in zip(names, specs, strict=True)
    )


def _sampling(of_file: Sampling, of_flags: Sampling) -> Sampling:
    return of_file.model_copy(update=of_flags.model_dump(exclude_none=True))


def of_judge(text: str) -> str:
    """The same advice for a judge: its address and key have flags of their own.

    >>> of_judge("give `--base-url` or --judge-base-url")
    'give `--judge-base-url` or --judge-base-url'
    """
    return _FLAG.sub(r"--judge-\1", text)


def check_prices(limits: Limits, specs: Sequence[ModelSpec]) -> None:
    """A limit in dollars cannot be kept where a price is unknown. Raises UsageError."""
    if limits.max_cost_usd is None:
        return
    if unknown := [spec.name for spec in specs if price_of(spec) is None]:
        raise UsageError(
            f"--max-cost: no price is known for {', '.join(dict.fromkeys(unknown))}. Name the model in "
            "misalign-eval.yaml with `prices:`, or limit the run with --max-requests"
        )


@dataclass
class Models:
    """Every provider of a run. Making one checks its key and address; nothing is sent."""

    limits: Limits
    meter: Meter = field(init=False)
    _limiters: dict[str, Limiter] = field(default_factory=dict)
    met: Callable[[str], None] = lambda _: None  # is told by which name a model first answers, where it is another
    _callers: list[Caller] = field(default_factory=list)
    _judges: list[JudgeHandle] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start to count."""
        self.meter = Meter(self.limits.max_requests, self.limits.max_cost_usd)

    def caller(self, spec: ModelSpec, *, accept: str = "--served-as") -> Caller:
        """The caller of a model; `accept` is the flag that accepts another name.

        Raises UsageError for a missing key or an address that is none.
        """
        provider: Provider = load("providers", spec.provider)(spec)
        limiter = self._limiters.setdefault(provider.account, Limiter(self.limits.max_connections, time.monotonic))
        served = Served(spec.provider, spec.model, spec.served_as)
        policy = self.limits.retry
        caller = Caller(provider, limiter, self.meter, policy, served=served, met=self.met, accept=accept)
        self._callers.append(caller)
        return caller

    def judge(self, spec: ModelSpec) -> JudgeHandle:
        """The same, as a grader is given it. Its errors name the flags of judges."""
        try:
            caller = self.caller(spec, accept="--judge-served-as")
        except UsageError as error:
            raise type(error)(of_judge(str(error))) if type(error) is UsageError else error from None
        provider = caller.provider

        async def ask(request: ModelRequest) -> Response:
            try:
                return await caller.ask(request)
            except ProviderFault as fault:
                fault.message = of_judge(fault.message)
                raise
            except RunStoppedError as error:
                error.args = (of_judge(str(error)),)
                raise

        handle = JudgeHandle(spec, provider.host, lambda: provider.capabilities, ask)
        self._judges.append(handle)
        return handle

    def notes(self) -> tuple[str, ...]:
        """What servers of judges did not give as it was asked, in words."""
        fewest = {handle.spec.name: handle.capabilities().top_logprobs for handle in self._judges}
        return tuple(
            f"judge {name}: its server gives at most {most} log-probabilities of a token, and {most} were asked for"
            for name, most in fewest.items()
            if most is not None
        )

    def remember(self, folder: RunFolder) -> None:
        """Hold the models that answer from now on also against those that answered earlier in this run."""
        held = {caller.provider.spec.name: caller.served for caller in self if caller.served is not None}
        target = folder.manifest.target
        if (served := held.get(target.name)) is not None:
            served.accepted = (*served.accepted, *target.served_as)
            rows = (row for row in folder.replies() if isinstance(row, Reply))
            served.admits(next((row.model for row in rows if row.model), None))
        for who in folder.grader_identities():
            if who.kind != "rule":
                for judge, name in next(filter(None, (judges_of(who, row) for row in folder.all_grades(who))), ()):
                    if (served := held.get(judge)) is not None:
                        served.admits(name)

    def places(self, callers: Sequence[Caller]) -> int:
        """How many workers keep these callers' accounts busy."""
        return self.limits.max_connections * max(1, len({caller.provider.account for caller in callers}))

    def __iter__(self) -> Iterator[Caller]:
        """Every caller made so far."""
        return iter(self._callers)

    async def close(self) -> None:
        """Release connections and processes."""
        for caller in self:
            await caller.provider.close()
