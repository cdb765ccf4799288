import re
from pathlib import Path

import pytest

from misalign_eval import plugins
from misalign_eval.plan import plan
from misalign_eval.settings import Settings
from misalign_eval.suites import sources as suite_sources
from misalign_eval.suites.schema import DefaultsFile, ProbeFile, SuiteFile, VariantFile
from misalign_eval.workflows.load_suite import check_loaded, load_suite
from misalign_eval.workflows.options import RunOptions
from misalign_eval.workflows.run import dry_run, prepare

README = (plugins.suites_dir() / "README.md").read_text(encoding="utf-8")


def test_the_example_is_a_suite_that_passes_the_check(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert found
    file = tmp_path / "kitchen.yaml"
    file.write_text(found.group(1), encoding="utf-8")
    loaded, warnings = check_loaded(str(file))
    assert (loaded.name, warnings) == ("kitchen", [])


def test_the_table_counts_every_bundled_suite_as_it_is() -> None:
    rows = re.findall(r"^\| `(\S+)` \|.*\| (\d+) probes, (\d+) prompts, (\d+) replies \|$", README, re.MULTILINE)
    assert [row[0] for row in rows] == suite_sources.names()
    for name, probes, prompts, replies in rows:
        loaded = load_suite(name)
        counts = (len(loaded.probes), sum(len(probe.prompts) for probe in loaded.probes), plan(loaded).replies)
        assert counts == (int(probes), int(prompts), int(replies))


KEYS = [(kind.__name__, key) for kind in (SuiteFile, ProbeFile, VariantFile) for key in kind.model_fields]


@pytest.mark.parametrize("kind, key", KEYS)
def test_every_key_is_in_the_reference(kind: str, key: str) -> None:
    assert f"`{key}`" in README or f"`{key}:" in README, f"{kind}.{key}"


def test_the_keys_marked_as_defaults_are_those_that_defaults_take() -> None:
    marked = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (?:required )?\* \|", README, re.MULTILINE)
    assert {key for cell in marked for key in re.findall(r"`(\w+)`", cell)} == set(DefaultsFile.model_fields)


@pytest.mark.slow
def test_the_table_of_costs_is_what_a_dry_run_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell holds one sum for each judge, as in `0.69 / 2.03 / 7.51`."""
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)  # elsewhere the vendors' prices do not hold
    (head,) = re.findall(r"^\| dollars \|(.*)\|$", README, re.MULTILINE)
    (by,) = re.findall(r"^A cell is for the judges (.*):$", README, re.MULTILINE)
    targets, judges = (tuple(re.findall(r"`(\S+)`", text)) for text in (head, by))
    rows = dict(re.findall(r"^\| `(\S+)` \| (\d[\d.]* / .*) \|$", README, re.MULTILINE))
    asked = [RunOptions(suites=tuple(rows), targets=targets, judges=(judge,)) for judge in judges]
    plans = zip(*(dry_run(prepare(options, Settings())) for options in asked), strict=True)
    cells = [" / ".join(f"{judge.cost_usd:.2f}" for judge in of_judges) for of_judges in plans]

    assert (len(targets), len(judges)) == (3, 3)
    assert {"quick", "broad-misalignment", "deception", "controls", "in-domain/health"} <= rows.keys()
    assert " | ".join(rows.values()).split(" | ") == cells
