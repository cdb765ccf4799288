"""`misalign-eval graders`: lists and shows rules and judge graders, and checks a grader's folder."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from misalign_eval.cli.output import check_format, emit

if TYPE_CHECKING:
    from misalign_eval.graders.folder import GraderFolder


app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="List, show and check rules and judge graders.")

FORMATS = ("text", "json")
FormatOption = Annotated[str, typer.Option("--format", help="What to print: text or json.")]
FilesOption = Annotated[
    list[Path] | None, typer.Option("-o", "--output", help="Also write this file; its extension names the format.")
]


@app.command("list")
def list_graders(fmt: FormatOption = "text", output: FilesOption = None) -> None:
    """List every grader that a suite may name: judge graders, rules and installed ones."""
    check_format(FORMATS, fmt, output or ())
    rows = [*_judged_rows(), *_rule_rows(), *_installed_rows()]
    emit({"text": lambda: _table(rows), "json": lambda: _json(rows)}, fmt, output or ())


@app.command()
def show(
    grader: Annotated[str, typer.Argument(help="A rule, a bundled grader, or the path of a grader's folder.")],
    fmt: FormatOption = "text",
    output: FilesOption = None,
) -> None:
    """Show a judge grader with its rubric, or a rule with its options."""
    check_format(FORMATS, fmt, output or ())
    from misalign_eval.graders import folder as grader_folder
    from misalign_eval.graders.rules import table
    from misalign_eval.workflows.load_suite import own_graders

    if grader in table.RULES:
        page, found = _rule_page(grader), _rule_json(grader)
    else:
        folder = grader_folder.load(grader_folder.find(grader, own_graders()))
        page, found = _folder_page(folder), _folder_json(folder)
    emit({"text": lambda: page, "json": lambda: _json(found)}, fmt, output or ())


@app.command()
def check(
    graders: Annotated[list[str], typer.Argument(metavar="FOLDER...", help="Grader folders or bundled names.")],
    fmt: FormatOption = "text",
    output: FilesOption = None,
) -> None:
    """Check grader folders: grader.yaml, rubric.md and labelled.jsonl, every error with its line.

    Exit code 0: no errors. 2: there are some.
    """
    check_format(FORMATS, fmt, output or ())
    found = [_checked(grader) for grader in dict.fromkeys(graders)]
    emit({"text": lambda: _findings(found), "json": lambda: _json(found)}, fmt, output or ())
    if any(item["errors"] for item in found):
        raise typer.Exit(2)


@app.command()
def schema(output: FilesOption = None) -> None:
    """Print the JSON Schema of grader.yaml, which editors use to complete and check what is written."""
    check_format(("json",), "json", output or ())
    from misalign_eval.graders.folder import text

    emit({"json": text}, "json", output or ())


def _judged_rows() -> list[dict[str, str]]:
    from misalign_eval.graders import folder as grader_folder
    from misalign_eval.workflows.load_suite import own_graders

    own = own_graders()
    specs = [grader_folder.load(grader_folder.find(name, own)).spec for name in grader_folder.names(own)]
    return [
        {"name": spec.name, "kind": spec.kind, "version": spec.version, "description": spec.description}
        for spec in specs
    ]


def _rule_rows() -> list[dict[str, str]]:
    from misalign_eval.graders.rules import table

    return [
        {"name": name, "kind": "rule", "version": f"v{info.version}", "description": f"the reply {info.description}"}
        for name, info in sorted(table.RULES.items())
    ]


def _installed_rows() -> list[dict[str, str]]:
    from misalign_eval import plugins

    return [
        {"name": name, "kind": "installed", "version": "", "description": "by another package"}
        for name in plugins.names("graders")
    ]


def _table(rows: list[dict[str, str]]) -> str:
    from misalign_eval.cli.output import listed
    from misalign_eval.reports.escape import one_line

    return listed([(row["name"], row["kind"], row["version"], one_line(row["description"])) for row in rows])


def _rule_json(name: str) -> dict[str, Any]:
    from misalign_eval.graders.rules import table

    info = table.RULES[name]
    about = {"name": name, "kind": "rule", "version": f"v{info.version}", "description": info.description}
    return {**about, "options": info.schema}


def _rule_page(name: str) -> str:
    about = _rule_json(name)
    lines = [f"{name} {about['version']}, a rule: yes when the reply {about['description']}", ""]
    options = about["options"].get("properties", {})
    required = about["options"].get("required", [])
    lines += ["options:" if options else "no options"]
    for option, details in options.items():
        default = "required" if option in required else f"default {json.dumps(details.get('default'))}"
        words = f": {details['description']}" if "description" in details else ""
        lines.append(f"  {option} ({default}){words}")
    example = f"{{rule: {name}, {next(iter(options))}: …}}" if options else name
    lines += ["", "in a suite:", f"  graders: [{example}]"]
    return "\n".join(lines) + "\n"


def _folder_json(folder: "GraderFolder") -> dict[str, Any]:
    from misalign_eval.graders import folder as grader_folder

    about: dict[str, Any] = folder.spec.model_dump(mode="json")
    examples = len(grader_folder.examples(folder))
    return {**about, "rubric_digest": folder.rubric_digest, "labelled": examples, "rubric": folder.rubric}


def _folder_page(folder: "GraderFolder") -> str:
    from misalign_eval.reports.escape import plain

    spec, about = folder.spec, _folder_json(folder)
    lines = [f"{spec.name} {spec.version}, a judge grader of kind {spec.kind}", spec.description, ""]
    lines += [f"scale: {spec.scale.min} to {spec.scale.max}"] if spec.scale else []
    lines += [f"label {label}: {meaning}" for label, meaning in spec.labels.items()]
    lines += [f"the judge sees: {', '.join(spec.sees)}", f"labelled replies: {about['labelled']}"]
    lines += [f"rubric (digest {folder.rubric_digest}), sent word for word:", "", folder.rubric]
    return plain("\n".join(lines)).rstrip("\n") + "\n"


def _checked(grader: str) -> dict[str, Any]:
    from misalign_eval.errors import InputError
    from misalign_eval.graders import folder as grader_folder
    from misalign_eval.workflows.load_suite import own_graders

    path = grader_folder.find(grader, own_graders())
    try:
        labelled = len(grader_folder.examples(grader_folder.load(path)))
    except InputError as error:
        return {"grader": str(path), "labelled": None, "errors": [str(problem) for problem in error.problems]}
    return {"grader": str(path), "labelled": labelled, "errors": []}


def _findings(found: list[dict[str, Any]]) -> str:
    from misalign_eval.reports.escape import plain

    lines: list[str] = []
    for item in found:
        lines += item["errors"] or [f"{item['grader']}: ok, {item['labelled']} labelled replies"]
    return plain("\n".join(lines)) + "\n"


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
