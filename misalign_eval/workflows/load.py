"""A suite, with the definitions, graders and rules that it may name."""

from collections.abc import Mapping
from pathlib import Path

from misalign_eval import registry
from misalign_eval.analysis import definitions
from misalign_eval.bundled import graders_dir
from misalign_eval.errors import Problem
from misalign_eval.graders import build, folders, rules
from misalign_eval.records.suite import RuleSpec, Suite
from misalign_eval.suites.foreign.columns import roles
from misalign_eval.suites.known import Known
from misalign_eval.suites.lint import lint
from misalign_eval.suites.load import Loaded, read


def suite(source: str, *, definition: str | None = None) -> Suite:
    """Read a bundled suite by name or a file by path; `definition` names another than the suite's own.

    Raises UsageError for an unknown name, InputError with every problem of every file.
    """
    return loaded(source, definition=definition).suite


def loaded(source: str, *, definition: str | None = None, mapped: Mapping[str, str] | None = None) -> Loaded:
    """As `suite`, with the files that it is from; `mapped` is `--map`, ours to theirs, for a table of questions."""
    return read(source, _known(definition), roles(mapped or {}))


def checked(source: str) -> tuple[Suite, list[Problem]]:
    """The suite, and the warnings of the lint. Raises as `suite` does."""
    found = loaded(source)
    return found.suite, lint(found)


def told(found: Loaded) -> list[str]:
    """Of files in foreign formats: what they were read as, and what of them is not kept or was decided for them."""
    return [
        line
        for file, origin in found.origins
        for line in (f"{file}: read as {origin.format}", *(str(loss) for loss in origin.losses))
    ]


def own_graders() -> list[Path]:
    """Folders of grader folders besides the bundled ones: `graders/` where the user stands, if it is there."""
    return [folder for folder in (Path("graders"),) if folder.is_dir()]


def replaced_graders() -> list[str]:
    """Bundled graders in whose place another one of `./graders` is asked, by its name.

    A stranger's checkout may hold such a grader. A copy of what ships, as in a checkout of this project, is not named.
    """
    bundled = folders.names()
    return [
        name
        for place in own_graders()
        if not place.samefile(graders_dir())
        for name in bundled
        if (place / name / folders.GRADER).is_file() and not folders.same(place / name, graders_dir() / name)
    ]


def _known(definition: str | None) -> Known:
    return Known(
        definitions=definitions.load,
        graders=build.names(own_graders()),
        rules=sorted({*rules.names(), *registry.names("graders")}),
        check_rule=_check_rule,
        definition=None if definition is None else definitions.load(definition),
    )


def _check_rule(rule: RuleSpec) -> list[Problem]:
    """An installed grader checks its own options when it is built."""
    if rule.rule in registry.names("graders"):
        return []
    return rules.check_options(rule.rule, rule.options)
