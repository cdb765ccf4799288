"""Spending, counted before each request leaves, so that a limit stops the run before the next call."""

from dataclasses import dataclass

from misalign_eval.errors import RunStoppedError
from misalign_eval.records.reply import Usage


@dataclass(slots=True)
class Meter:
    """Requests and money of a run, target and judge together. `spent_*` start with what earlier sessions spent."""

    max_requests: int | None = None
    max_cost_usd: float | None = None
    requests: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0  # answers whose cost is unknown
    in_flight: int = 0
    answers: int = 0

    def start(self) -> None:
        """Count a request that is about to leave. Raises RunStoppedError when a limit forbids it."""
        if self.max_requests is not None and self.requests >= self.max_requests:
            raise RunStoppedError(f"--max-requests {self.max_requests} reached. Raise it and resume to go on")
        if self.max_cost_usd is not None and self._expected_usd() > self.max_cost_usd:
            raise RunStoppedError(
                f"--max-cost {self.max_cost_usd:g} USD: {self.cost_usd:.4f} spent, and the next call could pass it. "
                "Raise it and resume to go on"
            )
        self.requests += 1
        self.in_flight += 1

    def end(self, usage: Usage | None) -> None:
        """Count what an attempt cost; None for an attempt without an answer."""
        self.in_flight -= 1
        if usage is None:
            return
        self.answers += 1
        if usage.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd += usage.cost_usd

    def _expected_usd(self) -> float:
        """Spent, plus the calls in flight and the next one at the mean price so far."""
        mean = self.cost_usd / self.answers if self.answers else 0.0
        return self.cost_usd + mean * (self.in_flight + 1)
