"""The recipes of CONTRIBUTING, followed to the letter in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
COPIED = ("misalign_eval", "suites", "graders", "tests")
FILES = ("pyproject.toml", "README.md")
SECRETS = re.compile(r"KEY|TOKEN|SECRET")

pytestmark = pytest.mark.slow  # a copy of the package and several processes each


class Recipe:
    """One recipe of CONTRIBUTING and a copy of the repository. A step may touch only what the recipe names."""

    def __init__(self, title: str, root: Path) -> None:
        (paragraph,) = re.findall(rf"^\*\*{title}\.\*\*.*?(?=\n\n)", CONTRIBUTING, re.MULTILINE | re.DOTALL)
        self.words = " ".join(paragraph.split())
        self.root = root
        self.used: set[str] = set()
        for name in COPIED:
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in FILES:
            shutil.copyfile(ROOT / name, root / name)

    def path(self, name: str) -> Path:
        """The path in the copy. Fails where the recipe does not name it."""
        assert f"`{name}`" in self.words, f"the recipe does not name {name}"
        self.used.add(name)
        return self.root / name

    def copy(self, source: str, target: str) -> None:
        original, copied = self.path(source), self.path(target)
        if original.is_dir():
            shutil.copytree(original, copied)
        else:
            shutil.copyfile(original, copied)

    def write(self, name: str, content: str) -> None:
        self.path(name).write_text(content, encoding="utf-8")

    def replace(self, name: str, old: str, new: str, *, table: str = "") -> None:
        """Change a file that the recipe names, after the start of the table that it names."""
        assert not table or f"`{table}`" in self.words, f"the recipe does not name {table}"
        path = self.root / name
        content = path.read_text(encoding="utf-8")
        start = re.search(rf"^{table}\b", content, re.MULTILINE) if table else re.search("", content)
        assert start, f"{name} has no {table}"
        place = content.index(old, start.start())
        path.write_text(content[:place] + new + content[place + len(old) :], encoding="utf-8")

    def insert(self, name: str, before: str, added: str, *, table: str = "") -> None:
        """Add a line to a file that the recipe names."""
        self.path(name)
        self.replace(name, before, added + before, table=table)

    def rename(self, name: str, old: str) -> None:
        """Give a copy the name that the recipe says."""
        assert "`name: mine`" in self.words
        self.replace(name, f"name: {old}\n", "name: mine\n")

    def command(self, typed: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command that the recipe names; `arguments` stand for its words in capitals."""
        assert f"`misalign-eval {typed}`" in self.words, f"the recipe does not name the command {typed}"
        given = iter(arguments)
        return self.python("-m", "misalign_eval", *(next(given) if word.isupper() else word for word in typed.split()))

    def tests(self, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run tests that the recipe names, on the copy."""
        self.path(name)
        return self.python("-m", "pytest", "-q", "-p", "no:cacheprovider", name, *options)

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not SECRETS.search(name)}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env={**inherited, "PYTHONPATH": str(self.root)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def check_paths(self) -> None:
        """Every path that the recipe names is there, and none of them was left out."""
        paths = {name for name in re.findall(r"`([\w./-]+)`", self.words) if "/" in name}
        assert {name for name in paths if not (self.root / name).exists()} == set()
        assert paths - self.used == set()


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def failed(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr


def test_the_recipe_of_a_suite_gives_a_bundled_suite(tmp_path: Path) -> None:
    recipe = Recipe("A suite", tmp_path)
    recipe.copy("suites/quick.yaml", "suites/mine.yaml")
    recipe.rename("suites/mine.yaml", "quick")
    assert "no warnings" in succeeded(recipe.command("suites check suites/mine.yaml"))
    of_files = ("-m", "not slow", "-k", "test_readme or test_json_schema")
    assert "mine" in failed(recipe.tests("tests/suites/", *of_files))
    row = "| `mine` | a copy | 24 probes, 48 prompts, 240 replies |\n"
    recipe.insert("suites/README.md", "| `multi-turn` |", row)
    succeeded(recipe.tests("tests/suites/", *of_files))
    assert "mine " in succeeded(recipe.python("-m", "misalign_eval", "suites", "list"))
    recipe.check_paths()


TOPICS = '''"""A list of topics."""

from misalign_eval.suites.formats.detect import Recognised
from misalign_eval.suites.formats.questions import Fields, ForeignQuestion, ForeignSuite
from misalign_eval.suites.formats.source import ConversionReport, Marked


def read(recognised: Recognised, notes: ConversionReport) -> ForeignSuite:
    """One probe a topic."""
    fields = Fields(notes, recognised.root)
    questions = [
        ForeignQuestion(Marked(f"topic-{number}", text.line, text.place), prompts=[text])
        for number, text in enumerate(fields.texts("topics"))
    ]
    fields.rest(("topics",))
    return ForeignSuite(recognised.format, tuple(questions))
'''


def test_the_recipe_of_a_suite_format_imports_a_file(tmp_path: Path) -> None:
    recipe = Recipe("A suite format", tmp_path)
    (tmp_path / "foreign.yaml").write_text("topics:\n  - How should I run my town?\nlevel: 3\n", encoding="utf-8")
    failed(recipe.command("suites import FILE", "foreign.yaml"))
    formats = "misalign_eval/suites/formats"
    recipe.write(f"{formats}/mine.py", TOPICS)
    recipe.insert(f"{formats}/detect.py", '    "promptfoo YAML",\n', '    "topics YAML",\n', table="Format")
    branch = '    if root.child("topics"):\n        return Recognised("topics YAML", root)\n'
    assert "`by_yaml`" in recipe.words
    recipe.insert(f"{formats}/detect.py", "    table = table_of(root, mapped, notes)\n    if table is None", branch)
    recipe.insert(f"{formats}/convert.py", "    llmcomp,\n", "    mine,\n")
    line = '    "topics YAML": lambda found, _, notes: mine.read(found, notes),\n'
    recipe.insert(f"{formats}/convert.py", '    "promptfoo YAML"', line, table="_READERS")
    recipe.insert("suites/README.md", "| promptfoo YAML |", "| topics YAML | a probe a topic |\n")
    done = recipe.command("suites import FILE", "foreign.yaml")
    assert "How should I run my town?" in succeeded(done)
    assert "level" in done.stderr
    recipe.check_paths()


SHOUTING = '''"""Whether a reply shouts."""

from typing import Annotated

from pydantic import Field

from misalign_eval.graders.rules.base import Finding, decided
from misalign_eval.records.base import Record
from misalign_eval.records.grade import Subject


class ShoutingOptions(Record):
    """How much is too much."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.5


def decide(subject: Subject, options: ShoutingOptions) -> Finding:
    """Whether the share of capital letters is at least the one in the options."""
    letters = [letter for letter in subject.reply if letter.isalpha()]
    share = sum(letter.isupper() for letter in letters) / max(len(letters), 1)
    return decided(share >= options.share, f"{share:.0%} of the letters are capitals")
'''


def test_the_recipe_of_a_rule_gives_a_grader(tmp_path: Path) -> None:
    recipe = Recipe("A rule", tmp_path)
    recipe.write("misalign_eval/graders/rules/mine.py", SHOUTING)
    show = ("-m", "misalign_eval", "graders", "show", "shouting")
    failed(recipe.python(*show))
    table = "misalign_eval/graders/rules/table.py"
    recipe.insert(table, "    organism,\n", "    mine,\n")
    line = '    "shouting": RuleInfo("is written in capitals", mine.ShoutingOptions, _plain(mine.decide)),\n'
    recipe.insert(table, '    "truncated": RuleInfo', line, table="RULES")
    assert "is written in capitals" in succeeded(recipe.python(*show))
    assert "passed" in succeeded(recipe.tests("tests/graders/rules/test_table.py", "-m", "not slow"))
    recipe.check_paths()


def test_the_recipe_of_a_judge_grader_gives_a_bundled_grader(tmp_path: Path) -> None:
    recipe = Recipe("A judge grader", tmp_path)
    recipe.copy("graders/coherent", "graders/mine")
    assert "grader.yaml:2: name" in failed(recipe.command("graders check graders/mine"))
    recipe.rename("graders/mine/grader.yaml", "coherent")
    assert "ok, " in succeeded(recipe.command("graders check graders/mine"))
    tests = "tests/graders/test_bundled_graders.py"
    of_tables = ("-k", "these_graders_ship or scales_and_labels")
    assert "mine" in failed(recipe.tests(tests, *of_tables))
    recipe.insert(tests, '    "misalignment": [', '    "mine": [],\n', table="LABELS")
    recipe.insert(tests, '"coherent", ', '"mine", ', table="SCALES")
    succeeded(recipe.tests(tests, *of_tables))
    recipe.insert("graders/README.md", "| `misalignment` |", "| `mine` | Is it clear? | 0 to 100 | low | none |\n")
    assert "mine " in succeeded(recipe.python("-m", "misalign_eval", "graders", "list"))
    recipe.check_paths()


def test_the_recipe_of_a_definition_gives_a_preset(tmp_path: Path) -> None:
    recipe = Recipe("A definition", tmp_path)
    folder = "misalign_eval/analysis/definitions"
    recipe.copy(f"{folder}/betley-2025.yaml", f"{folder}/mine.yaml")
    recipe.rename(f"{folder}/mine.yaml", "betley-2025")
    assert succeeded(recipe.command("definitions show mine")).startswith("mine (version 1)")
    tests = "tests/analysis/test_definitions.py"
    assert "mine" in failed(recipe.tests(tests))
    recipe.insert(tests, '    "misaligned-label",\n', '    "mine",\n', table="PRESETS")
    succeeded(recipe.tests(tests))
    recipe.check_paths()


COMMAND = '''"""`misalign-eval mine`."""

from pathlib import Path
from typing import Annotated

import typer


def mine(run: Annotated[Path, typer.Argument(help="Folder of a run.")]) -> None:
    """Count what I count."""
    from misalign_eval.workflows.report import report

    typer.echo(report(run).summary.rate)
'''


def test_the_recipe_of_a_command_gives_a_command_with_its_help(tmp_path: Path) -> None:
    recipe = Recipe("A command", tmp_path)
    recipe.write("misalign_eval/cli/mine.py", COMMAND)
    failed(recipe.command("mine --help"))
    recipe.insert("misalign_eval/cli/main.py", '    "power",\n', '    "mine",\n', table="COMMANDS")
    assert "Count what I count." in succeeded(recipe.command("mine --help"))
    of_commands = ("-k", "every_command or heavy or circle or sixty")
    assert "mine" in failed(recipe.tests("tests/test_house.py", *of_commands))
    recipe.insert("README.md", "`figure list`", "`misalign-eval mine RUN` counts what I count. ")
    succeeded(recipe.tests("tests/test_house.py", *of_commands))
    recipe.check_paths()


FIGURE = '''"""How many replies have a score."""

from misalign_eval.records.pages import FigureScores
from misalign_eval.reports.figures.theme import Figure, FigureColumn, Theme

COLUMNS = (FigureColumn("run", "the run"), FigureColumn("scored", "replies with a score"))


def draw(scores: FigureScores, style: Theme) -> Figure:
    """A row for each run."""
    rows = tuple({"run": panel.run, "scored": panel.scored} for panel in scores.histograms)
    return Figure("mine", f"Scored replies, {style.width:g} points wide", COLUMNS, rows)
'''


def test_the_recipe_of_a_figure_writes_its_data(tmp_path: Path) -> None:
    recipe = Recipe("A figure", tmp_path)
    run = ["run", "organism", "--target", "embedded/aligned", "--samples", "1", "--out", "RUN"]
    succeeded(recipe.python("-m", "misalign_eval", *run, "--judge", "embedded/judge"))
    recipe.write("misalign_eval/reports/figures/mine.py", FIGURE)
    draw = "figure mine RUN -o mine.csv"
    failed(recipe.command(draw, "RUN"))
    render = "misalign_eval/reports/figures/render.py"
    recipe.insert(render, "judges, outcomes, scatter\n", "mine, ")
    recipe.insert(
        render, '    "judges": FigureKind', '    "mine": FigureKind("scored", "RUN", mine.draw),\n', table="KINDS"
    )
    assert "mine" in succeeded(recipe.command("figure list"))
    recipe.insert(
        "misalign_eval/workflows/figures.py", '    "judges": judges', '    "mine": histogram,\n', table="READERS"
    )
    recipe.insert("misalign_eval/cli/figure.py", "dumbbell or examples (a table", "mine, ")
    recipe.insert("README.md", "`histogram`", "`mine`, ")
    assert "Scored replies" in succeeded(recipe.command(draw, "RUN"))
    assert (tmp_path / "mine.csv").read_text(encoding="utf-8").splitlines()[0] == "run,scored"
    recipe.path("misalign_eval/records/pages.py")
    recipe.check_paths()
