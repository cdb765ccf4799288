"""The line that shows a run going by."""

from collections.abc import Callable
from typing import Any

from misalign_eval.analysis.gate.sequential import SequentialGate
from misalign_eval.cli.progress import Counts

Make = Callable[..., Any]


def test_the_line_shows_the_evidence_as_it_grows(side: Make, policy: Make) -> None:
    run = side({f"p{number}": "aaaa" + "-" * 16 for number in range(44)})
    gate = SequentialGate(policy({"kind": "rate", "limit": 0.02}), run, None, cap=20)
    assert gate.words == "round 4: rate evidence 17 of 25 for pass, 0.077 of 25 for fail"
    assert Counts(wanted=880, replies=176, evidence=gate.words).line(0).endswith(gate.words)
