"""The action's steps as the runner would call them, with a `gh` that keeps comments in a file."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ACTION = Path(__file__).parents[2] / ".github" / "actions" / "misalign-eval"
TOKEN = "ghs-right-and-secret"
GH = '''#!{python}
"""Knows the three calls that the action makes; keeps what it was told."""
import json, os, pathlib, sys
state = pathlib.Path({state!r})
kept = json.loads(state.read_text())
arguments = sys.argv[1:]
kept["calls"].append(arguments)
if kept["broken"]:
    state.write_text(json.dumps(kept))
    sys.exit("HTTP 403: Resource not accessible by integration")
assert os.environ["GH_TOKEN"] and arguments[0] == "api"
if "--jq" in arguments:
    marker, author = os.environ["MARKER"], os.environ["COMMENT_AUTHOR"]
    ours = [one for one in kept["comments"] if one["author"] == author and one["body"].startswith(marker)]
    print("\\n".join(str(one["id"]) for one in ours))
else:
    field = arguments[arguments.index("--field") + 1]
    body = pathlib.Path(field.removeprefix("body=@")).read_text()
    path = arguments[arguments.index("--method") + 2]
    if "PATCH" in arguments:
        [one] = [one for one in kept["comments"] if path.endswith(f"/comments/{{one['id']}}")]
        one["body"] = body
    else:
        kept["comments"].append({{"id": 100 + len(kept["comments"]), "author": "github-actions[bot]", "body": body}})
state.write_text(json.dumps(kept))
'''


@dataclass(frozen=True)
class Done:
    """How a step ended."""

    code: int
    log: str

    @property
    def obeyed(self) -> list[str]:
        """The lines that the runner takes for commands: not those between stop-commands and its word."""
        found, word = [], None
        for line in self.log.splitlines():
            if word is not None:
                word = None if line == f"::{word}::" else word
            elif line.startswith("::stop-commands::"):
                word = line.removeprefix("::stop-commands::")
            elif line.lstrip().startswith("::") or "##[" in line:
                found.append(line)
        assert word is None, "commands stay stopped"
        return found


@dataclass
class Job:
    """One job: a folder, the files of the runner, and the steps."""

    folder: Path
    outputs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        programs = self.folder / "bin"
        programs.mkdir()
        self.program("gh", GH.format(python=sys.executable, state=str(self.folder / "gh.json")))
        self.keep(calls=[], comments=[], broken=False)
        for name in ("output", "summary"):
            (self.folder / name).touch()

    def program(self, name: str, text: str) -> None:
        file = self.folder / "bin" / name
        file.write_text(text)
        file.chmod(0o755)

    def keep(self, **more: Any) -> None:
        file = self.folder / "gh.json"
        there = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(there | more))

    @property
    def gh(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "gh.json").read_text())
        return found

    @property
    def summary(self) -> str:
        return (self.folder / "summary").read_text()

    def __call__(self, step: str, **inputs: str) -> Done:
        """Run a step with these inputs, as environment variables."""
        path = os.pathsep.join([str(self.folder / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
        runner = {
            "PATH": path,
            "HOME": str(self.folder),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
            "GITHUB_REPOSITORY": "octo/models",
            "GITHUB_ACTIONS": "true",
            "GH_TOKEN": TOKEN,
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(ACTION / f"{step}.sh")],
            cwd=self.folder, env=runner | inputs, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=100, check=False,
        )  # fmt: skip
        lines = (self.folder / "output").read_text().splitlines()
        self.outputs = dict(line.split("=", 1) for line in lines)
        return Done(done.returncode, done.stdout)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Run folders of the embedded model, each collected once by the step `run`."""
    made: dict[str, Path] = {}

    def run(model: str) -> Path:
        if model not in made:
            job = Job(tmp_path_factory.mktemp(model))
            arguments = "--samples\n8\n--limit\n6\n--seed\n1\n"
            done = job(
                "run",
                SUITE="organism",
                RUN="run",
                TARGET=f"embedded/{model}",
                JUDGE="embedded/judge",
                RUN_ARGS=arguments,
            )
            assert (done.code, job.outputs, done.obeyed) == (0, {"exit-code": "0"}, []), done.log
            made[model] = job.folder / "run"
        return made[model]

    return run
