"""The house itself: what every file must keep, whoever wrote it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "misalign_eval"
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"openai", "anthropic", "httpx2", "numpy", "yaml", "tenacity", "asyncio", "rich"}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["compare", "--help"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import json, sys\nfrom misalign_eval.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert HEAVY.isdisjoint(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_every_file_is_small_and_named_for_what_it_does(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 600
    assert file.stem not in {"utils", "helpers", "common", "misc"}


def test_functions_are_around_ten_lines() -> None:
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    )
    assert lengths[len(lengths) // 2] <= 10
    assert lengths[int(len(lengths) * 0.9)] <= 40


def test_every_command_is_documented_in_the_readme() -> None:
    from misalign_eval.cli.main import COMMANDS, GROUPS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [
        name for name in (*COMMANDS, *GROUPS) if f"`{name}" not in readme and f"misalign-eval {name}" not in readme
    ] == []


def test_the_built_wheel_works_outside_the_repository(tmp_path: Path) -> None:
    place = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(place),
    ]
    subprocess.run([*install, str(ROOT)], check=True, timeout=110, capture_output=True)
    command = [sys.executable, "-m", "misalign_eval"]
    environment = {"PYTHONPATH": str(place), "PATH": "/usr/bin:/bin"}
    for arguments in (["suites", "check", "--all"], ["graders", "list"], ["suites", "show", "quick"]):
        done = subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    where = [sys.executable, "-c", "import misalign_eval.bundled as b; print(b.suites_dir())"]
    done = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(str(place))
