"""The house itself: what every file must keep, whoever wrote it."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from misalign_eval.stats.cautions import CautionId

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "misalign_eval"
FILES = sorted(PACKAGE.rglob("*.py"))
FAMILIES = ("cli", "providers", "graders/rules", "suites/formats", "reports/backends", "reports/figures")
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


def _imports() -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports when it is itself imported."""
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file for file in FILES}
    found: dict[str, set[str]] = {}
    for name, file in names.items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        wanted = {
            f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in names else str(node.module)
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        found[name] = {module for module in wanted if module in names and module != name}
    return found


def test_a_file_under_sixty_lines_belongs_to_a_family_or_has_three_importers() -> None:
    text = {file: file.read_text(encoding="utf-8") for file in [*FILES, *(ROOT / "tests").rglob("*.py")]}
    small = []
    for file in FILES:
        folder = file.parent.relative_to(PACKAGE).as_posix()
        if len(text[file].splitlines()) >= 60 or folder in FAMILIES or file.stem.startswith("__"):
            continue
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        package, _, last = module.rpartition(".")
        used = re.compile(rf"from {re.escape(module)} import|from {re.escape(package)} import [^\n]*\b{last}\b")
        if sum(bool(used.search(content)) for other, content in text.items() if other != file) < 3:
            small.append(str(file.relative_to(PACKAGE)))
    assert small == []


def test_a_package_has_at_most_twenty_five_modules() -> None:
    count = Counter(file.parent for file in FILES if file.name != "__init__.py")
    assert {str(folder): modules for folder, modules in count.items() if modules > 25} == {}


@pytest.mark.slow
def test_every_public_class_has_a_name_of_its_own() -> None:
    count = Counter(
        node.name
        for file in FILES
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, classes in count.items() if classes > 1] == []


@pytest.mark.slow
def test_no_modules_import_each_other_in_a_circle() -> None:
    imports = _imports()
    left = dict(imports)
    while True:
        free = {name for name, wanted in left.items() if not wanted & left.keys()}
        if not free:
            break
        left = {name: wanted for name, wanted in left.items() if name not in free}
    assert {name: wanted & left.keys() for name, wanted in left.items()} == {}


def test_every_command_is_documented_in_the_readme() -> None:
    from misalign_eval.cli.main import COMMANDS, GROUPS

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [
        name for name in (*COMMANDS, *GROUPS) if f"`{name}" not in readme and f"misalign-eval {name}" not in readme
    ] == []


def _warning_ids() -> set[str]:
    """The ids that stand in the code: of `Warned(id=…)`, and of the cautions of one run's counts."""
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in FILES]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    warned = [call for call in calls if ast.unparse(call.func) == "Warned"]
    given = [word.value for call in warned for word in call.keywords if word.arg == "id"]
    found = {value.value for value in given if isinstance(value, ast.Constant) and isinstance(value.value, str)}
    return {*found, *get_args(CautionId), "blocked"}


@pytest.mark.slow
def test_the_table_of_warnings_in_the_readme_has_each_id_once() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| id | says |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines()[2:]]
    named = [name for row in rows for name in re.findall(r"`([^`]+)`|\b(W\d+)\b", row)]
    listed = sorted(first or second for first, second in named)
    assert listed == sorted(_warning_ids())


LOCKS = {"tests/constraints.txt": ["dev"], ".github/actions/misalign-eval/constraints.txt": []}


@pytest.mark.parametrize("file, extras", LOCKS.items(), ids=["tests", "action"])
def test_a_lock_pins_all_that_the_project_names_and_nothing_of_whoever_wrote_it(file: str, extras: list[str]) -> None:
    lines = [line for line in (ROOT / file).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[0-9][\w.]*( ; [\w.'=<>!() ]+)?", line)] == []
    pinned: dict[str, list[str]] = {}
    for line in lines:
        pinned.setdefault(line.partition("==")[0], []).append(line.partition("==")[2].partition(" ")[0])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = [named for name in extras for named in project["optional-dependencies"][name]]
    for requirement in map(Requirement, [*project["dependencies"], *extra]):
        versions = pinned.get(canonicalize_name(requirement.name), [])
        assert versions, f"{requirement.name} is not in {file}: run tests/lock"
        assert all(version in requirement.specifier for version in versions), f"{requirement}: run tests/lock"


def test_what_the_tests_and_the_action_install_is_the_same() -> None:
    ours, actions = ((ROOT / file).read_text(encoding="utf-8").splitlines() for file in LOCKS)
    versions = {line.partition(" ")[0] for line in ours}
    assert [line for line in actions if line.partition(" ")[0] not in versions] == []


@pytest.mark.slow
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
    where = [sys.executable, "-c", "import misalign_eval.plugins as b; print(b.suites_dir())"]
    done = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(str(place))
