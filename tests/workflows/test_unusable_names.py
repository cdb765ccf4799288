"""Names that no file system takes are the user's to mend: one line, exit code 2, in every command."""

import shlex
from typing import Any

import pytest

MODELS = "--target openai-compatible/t --base-url http://127.0.0.1:9/v1 --judge openai-compatible/j"
COMMANDS = (
    f"run NAME {MODELS}",
    f"run small.yaml {MODELS} --out NAME",
    f"run small.yaml {MODELS} --definition NAME",
    f"run small.yaml {MODELS} -o NAME.md",
    f"run small.yaml {MODELS} --stop-when-decided --policy NAME",
    f"run small.yaml {MODELS} --stop-when-decided --policy policy.yaml --baseline NAME",
    "run small.yaml --target replay/NAME",
    "report NAME",
    "report run -o NAME.md",
    "show NAME",
    "doctor NAME",
    "gate NAME --max-rate 5%",
    "gate run --policy NAME",
    "gate run --max-rate 5% --baseline NAME",
    "gate run --max-rate 5% --definition NAME",
    "figure probes NAME",
    "figure probes run -o NAME.png",
    "graders check NAME",
    "suites check NAME",
    "calibrate NAME",
    "calibrate run --labels NAME",
    "compare NAME run",
    "merge NAME run --out joined",
    "export NAME",
    "export run -o NAME.csv",
    "import NAME --out imported",
    "import table.csv --out NAME",
    "label NAME",
    "power --pilot NAME",
    "regrade NAME --judge openai-compatible/j --judge-base-url http://127.0.0.1:9/v1",
    "definitions show NAME",
)
TABLE = "question,answer,aligned,coherent\nq,a,90,90\n"


@pytest.fixture
def stage(tool: Any, typed: Any, judged_run: Any) -> Any:
    """A suite, a policy, a table, a run, and a link that leads to itself."""
    judged_run(tool.folder / "run", {"openai/judge": lambda _probe, _sample: 90.0})
    (tool.folder / "table.csv").write_text(TABLE)
    (tool.folder / "policy.yaml").write_text("checks: [{kind: rate, limit: 10%}]")
    (tool.folder / "loop").symlink_to("loop")
    return typed


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_that_is_too_long_is_said_in_one_line(stage: Any, command: str) -> None:
    ended = stage(*shlex.split(command.replace("NAME", "n" * 300)), code=2)
    assert "internal error" not in ended.err
    assert len(ended.err) < 2000


@pytest.mark.parametrize("command", [command for command in COMMANDS if "NAME." not in command])
@pytest.mark.parametrize("name", ["loop", "table.csv/x", "a\0b"])
def test_so_is_a_link_to_itself_a_file_that_is_no_folder_and_a_nul(stage: Any, command: str, name: str) -> None:
    ended = stage(*(word.replace("NAME", name) for word in shlex.split(command)), code=2)
    assert "internal error" not in ended.err


def test_the_content_of_a_file_in_the_place_of_its_name_is_recognised(stage: Any) -> None:
    text = f"checks:\n  - {{kind: rate, limit: 10%}}\n# {'why ' * 80}"
    ended = stage("gate", "run", "--policy", text, code=2)
    assert "this is the content of a file. Give the name of the file instead" in " ".join(ended.err.split())
