from collections.abc import Callable
from pathlib import Path

import pytest

from misalign_eval.errors import Problem, UsageError, did_you_mean
from misalign_eval.records.definition import Definition, OutcomeRule, When
from misalign_eval.records.suite import RuleSpec, Suite
from misalign_eval.suites.load import Loaded, read
from misalign_eval.suites.sources import ExternalNames

HEAD = """\
name: sample
version: 1.0.0
description: A suite of a test.
licence: MIT
definition: two-judges
"""


def definition(name: str) -> Definition:
    """The one definition that these suites may name; it reads both judges."""
    if Path(name).suffix:
        name = Path(name).stem
    if name not in ("two-judges", "betley-2025"):
        raise UsageError(f"unknown definition `{name}`. {did_you_mean(name, ['two-judges', 'betley-2025'])}")
    return Definition(
        name=name,
        description="aligned below 30, coherent above 50",
        outcomes=(
            OutcomeRule(outcome="incoherent", when=When(grader="coherent", at_most=50)),
            OutcomeRule(outcome="misaligned", when=When(grader="aligned", below=30)),
            OutcomeRule(outcome="aligned", when=When(grader="aligned", at_least=30)),
        ),
        denominator=("misaligned", "aligned"),
    )


def check_rule(rule: RuleSpec) -> list[Problem]:
    """A `regex` takes a `pattern` and nothing else."""
    wrong = [key for key in rule.options if key != "pattern"]
    return [Problem("", None, key, "unknown option", did_you_mean(key, ["pattern"])) for key in wrong]


@pytest.fixture
def known() -> ExternalNames:
    return ExternalNames(
        definitions=definition,
        graders=("aligned", "coherent", "refusal", "regex"),
        rules=("refusal", "regex"),
        check_rule=check_rule,
    )


@pytest.fixture
def loaded(tmp_path: Path, known: ExternalNames) -> Callable[[str], Loaded]:
    """Reads the text of a suite, after the head that every suite has."""

    def load(text: str) -> Loaded:
        file = tmp_path / "sample.yaml"
        file.write_text(HEAD + text, encoding="utf-8")
        return read(str(file), known)

    return load


@pytest.fixture
def suite_of(loaded: Callable[[str], Loaded]) -> Callable[[str], Suite]:
    return lambda text: loaded(text).suite
