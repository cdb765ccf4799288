"""Loading of suites, with the definitions, graders and rules that they may name."""

from collections.abc import Mapping
from pathlib import Path

from misalign_eval import plugins
from misalign_eval.analysis import definitions
from misalign_eval.errors import Problem
from misalign_eval.graders import build
from misalign_eval.graders import folder as grader_folder
from misalign_eval.graders.rules import table
from misalign_eval.plugins import graders_dir
from misalign_eval.records.suite import RuleSpec, Suite
from misalign_eval.suites.advice import lint
from misalign_eval.suites.formats.detect import roles
from misalign_eval.suites.load import Loaded, read
from misalign_eval.suites.sources import ExternalNames


def load_suite(source: str, *, definition: str | None = None) -> Suite:
    """Read a bundled suite by name or a file by path; `definition` names another than the suite's own.

    Raises UsageError for an unknown name, InputError with every problem of every file.
    """
    return load_suites(source, definition=definition).suite


def load_suites(source: str, *, definition: str | None = None, mapped: Mapping[str, str] | None = None) -> Loaded:
    """As `load_suite`, with the files that it is from; `mapped` is `--map`, ours to theirs, for tables of questions."""
    return read(source, _known(definition), roles(mapped or {}))


def check_loaded(source: str) -> tuple[Suite, list[Problem]]:
    """The suite, and the warnings of the lint. Raises as `load_suite` does."""
    loaded = load_suites(source)
    return loaded.suite, lint(loaded)


def suite_messages(loaded: Loaded) -> list[str]:
    """Of files in foreign formats: what they were read as, and what of them is not kept or was decided for them."""
    return [
        line
        for file, origin in loaded.origins
        for line in (f"{file}: read as {origin.format}", *(str(loss) for loss in origin.losses))
    ]


def own_graders() -> list[Path]:
    """Folders of grader folders besides the bundled ones: `graders/` where the user stands, if it is there."""
    return [folder for folder in (Path("graders"),) if folder.is_dir()]


def replaced_graders() -> list[str]:
    """Bundled graders in whose place another one of `./graders` is asked, by its name.

    A stranger's checkout may hold such a grader. A copy of what ships, as in a checkout of this project, is not named.
    """
    bundled = grader_folder.names()
    return [
        name
        for grader in own_graders()
        if not grader.samefile(graders_dir())
        for name in bundled
        if (grader / name / grader_folder.GRADER).is_file()
        and not grader_folder.same(grader / name, graders_dir() / name)
    ]


def _known(definition: str | None) -> ExternalNames:
    return ExternalNames(
        definitions=definitions.load,
        graders=build.names(own_graders()),
        rules=sorted({*table.names(), *plugins.names("graders")}),
        check_rule=_check_rule,
        definition=None if definition is None else definitions.load(definition),
    )


def _check_rule(rule: RuleSpec) -> list[Problem]:
    """An installed grader checks its own options when it is built."""
    if rule.rule in plugins.names("graders"):
        return []
    return table.check_options(rule.rule, rule.options)
