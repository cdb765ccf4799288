import re
from pathlib import Path

import pytest

from misalign_eval import bundled
from misalign_eval.plan import plan
from misalign_eval.suites.schema import DefaultsFile, ProbeFile, SuiteFile, VariantFile
from misalign_eval.workflows.load import checked, suite

README = (bundled.suites_dir() / "README.md").read_text(encoding="utf-8")


def test_the_example_is_a_suite_that_passes_the_check(tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert found
    file = tmp_path / "kitchen.yaml"
    file.write_text(found.group(1), encoding="utf-8")
    loaded, warnings = checked(str(file))
    assert (loaded.name, warnings) == ("kitchen", [])


def test_the_table_counts_every_bundled_suite_as_it_is() -> None:
    rows = re.findall(r"^\| `(\S+)` \|.*\| (\d+) probes, (\d+) prompts, (\d+) replies \|$", README, re.MULTILINE)
    assert [row[0] for row in rows] == sorted(file.stem for file in bundled.suites_dir().glob("*.yaml"))
    for name, probes, prompts, replies in rows:
        loaded = suite(name)
        counts = (len(loaded.probes), sum(len(probe.prompts) for probe in loaded.probes), plan(loaded).replies)
        assert counts == (int(probes), int(prompts), int(replies))


KEYS = [(kind.__name__, key) for kind in (SuiteFile, ProbeFile, VariantFile) for key in kind.model_fields]


@pytest.mark.parametrize("kind, key", KEYS)
def test_every_key_is_in_the_reference(kind: str, key: str) -> None:
    assert f"`{key}`" in README or f"`{key}:" in README, f"{kind}.{key}"


def test_the_keys_marked_as_defaults_are_those_that_defaults_take() -> None:
    marked = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (?:required )?\* \|", README, re.MULTILINE)
    assert {key for cell in marked for key in re.findall(r"`(\w+)`", cell)} == set(DefaultsFile.model_fields)
