import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from misalign_eval import plugins
from misalign_eval.suites import schema as suite_schema

BAD = Path(__file__).parent / "bad"


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    written = json.loads((plugins.suites_dir() / suite_schema.FILE).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(written)
    return Draft202012Validator(written)


def content(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def test_the_schema_on_disk_is_that_of_the_records() -> None:
    written = (plugins.suites_dir() / suite_schema.FILE).read_text(encoding="utf-8")
    assert written == suite_schema.text(), "run: misalign-eval suites schema > suites/suite.schema.json"


@pytest.mark.slow
def test_every_bundled_suite_fits_the_schema_and_names_it(schema: Draft202012Validator) -> None:
    files = sorted(plugins.suites_dir().rglob("*.yaml"))
    assert files
    for file in files:
        assert [error.message for error in schema.iter_errors(content(file))] == []
        first = file.read_text(encoding="utf-8").splitlines()[0]
        up = "../" * (len(file.relative_to(plugins.suites_dir()).parts) - 1)
        assert first == f"# yaml-language-server: $schema={up}{suite_schema.FILE}"


@pytest.mark.parametrize(
    "fault",
    ["unknown-key", "wrong-type", "empty-prompt", "prompts-and-messages", "inline-definition", "unquoted-version"],
)
def test_an_editor_underlines_what_the_schema_can_tell(schema: Draft202012Validator, fault: str) -> None:
    assert not schema.is_valid(content(BAD / f"{fault}.yaml"))
