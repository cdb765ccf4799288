"""`misalign-eval suites`: lists, shows, checks and imports suites."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli.options import MapOption, map_pairs
from misalign_eval.cli.output import check_format, emit, write_file
from misalign_eval.errors import UsageError

if TYPE_CHECKING:
    from misalign_eval.records.suite import OwnGrader
    from misalign_eval.suites.advice import ClosePair
    from misalign_eval.suites.load import Loaded
    from misalign_eval.workflows.suites import CheckedSuite


app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="List, show, check and import suites of probes.")

FORMATS = ("text", "json")
MOST_SHOWN = 160  # characters of a prompt
_KINDS = {"within": "within a suite", "between": "between suites", "splits": "between broad and in-domain probes"}
FormatOption = Annotated[str, typer.Option("--format", help="What to print: text or json.")]
FilesOption = Annotated[
    list[Path] | None, typer.Option("-o", "--output", help="Also write this file; its extension names the format.")
]


@app.command("list")
def list_suites(fmt: FormatOption = "text", output: FilesOption = None) -> None:
    """List the suites that ship with misalign-eval."""
    check_format(FORMATS, fmt, output or ())
    from misalign_eval.workflows.suites import listed as list_suites

    rows = list_suites()
    emit({"text": lambda: _table(rows), "json": lambda: _json(rows)}, fmt, output or ())


@app.command()
def show(
    suite: Annotated[str, typer.Argument(help="A bundled name or the path of a suite file, also a foreign one.")],
    mapped: MapOption = None,
    fmt: FormatOption = "text",
    output: FilesOption = None,
) -> None:
    """Show every probe of a suite with its prompts, as they are sent."""
    check_format(FORMATS, fmt, output or ())
    from misalign_eval.workflows.load_suite import load_suites
    from misalign_eval.workflows.suites import shown

    loaded = load_suites(suite, mapped=map_pairs(mapped or ()))
    emit({"text": lambda: _page(loaded), "json": lambda: _json(shown(loaded))}, fmt, output or ())


@app.command()
def check(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE...", help="Suite files or bundled names.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Check every bundled suite.")] = False,
    mapped: MapOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail the check, too.")] = False,
    closest: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Also show the N closest pairs of probes within a suite, between suites, and between broad and "
            "in-domain probes, by the words and word pairs that they share.",
        ),
    ] = None,
    fmt: FormatOption = "text",
    output: FilesOption = None,
) -> None:
    """Check suite files: every error with its line, and what is allowed but rarely meant.

    Exit code 0: no errors (and with --strict no warnings). 2: there are some.
    """
    check_format(FORMATS, fmt, output or ())
    from misalign_eval.suites.sources import names
    from misalign_eval.workflows.suites import checked
    from misalign_eval.workflows.suites import closest as closest_of

    wanted = [*(files or ()), *(names() if every else ())]
    if not wanted:
        raise UsageError("name at least one suite file, or --all for the bundled ones")
    found = [checked(source, map_pairs(mapped or ())) for source in dict.fromkeys(wanted)]
    pairs = None if closest is None else closest_of(found, closest)
    renderers = {
        "text": lambda: _findings(found) + ("" if pairs is None else _closest(pairs, closest or 0)),
        "json": lambda: _json(_checked_json(found, pairs)),
    }
    emit(renderers, fmt, output or ())
    if any(item.errors or (strict and item.warnings) for item in found):
        raise typer.Exit(2)


@app.command("import")
def import_suite(
    file: Annotated[str, typer.Argument(help="A suite in a format of the field.")],
    mapped: MapOption = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The suite file to write.")] = None,
) -> None:
    """Turn a suite of another tool into a suite file, and say what of it is not kept.

    Betley and viseval YAML, llmcomp YAML, promptfoo YAML, persona-features CSV, persona-vectors JSON, prompts as CSV,
    JSONL, JSON, YAML or lines of text, and fine-tuning JSONL are told apart by what they hold. `run` takes such files
    as they are.
    """
    check_format(("yaml",), "yaml", [output] if output else ())
    from misalign_eval.cli.options import print_note
    from misalign_eval.workflows.suites import imported

    text, notes = imported(file, map_pairs(mapped or ()))
    if output is None:
        emit({"yaml": lambda: text}, "yaml", ())
    else:
        write_file(output, text)
    for note in notes:
        print_note(note)


@app.command()
def schema(output: FilesOption = None) -> None:
    """Print the JSON Schema of suite files, which editors use to complete and check what is written."""
    check_format(("json",), "json", output or ())
    from misalign_eval.suites.schema import text

    emit({"json": text}, "json", output or ())


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _table(rows: list[dict[str, str | int]]) -> str:
    from misalign_eval.cli.output import listed
    from misalign_eval.reports.escape import one_line

    def told(row: dict[str, str | int]) -> str:
        sizes = f"{row['probes']} probes, {row['prompts']} prompts, {row['replies']} replies"
        return f"{sizes}. {one_line(str(row['description']))}"

    return listed([(str(row["name"]), str(row["version"]), told(row)) for row in rows])


def _page(loaded: "Loaded") -> str:
    from misalign_eval.records.suite import PLAIN
    from misalign_eval.reports.escape import plain
    from misalign_eval.workflows.load_suite import suite_messages

    suite = loaded.suite
    lines = [*suite_messages(loaded), *([""] if loaded.origins else [])]
    lines += [f"{suite.name} {suite.version}, digest {suite.digest}", suite.description]
    lines += [f"definition {suite.definition.name}, licence {suite.licence}"]
    lines += [f"canary {suite.canary}"] if suite.canary else []
    for name, judge in suite.rules.items():
        lines += _judge_lines(name, judge)
    for probe in suite.probes:
        forms = f", variants {', '.join(probe.variants)}" if probe.variants else ""
        forms += f", form {probe.form}" if probe.form != PLAIN else ""
        lines += ["", f"{probe.id}  ({probe.category}, {probe.split}; graders {', '.join(probe.graders)}{forms})"]
        lines += [f"  system: {probe.system}"] if probe.system else []
        for index, messages in enumerate(probe.prompts):
            lines += [f"  {index} {message.role}: {message.content}" for message in messages]
        lines += [f"  criteria: {probe.criteria}"] if probe.criteria else []
        lines += [] if probe.reference is None else [f"  reference: {_reference(probe.reference)}"]
    return plain("\n".join(lines)) + "\n"


def _reference(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _judge_lines(name: str, judge: "OwnGrader") -> list[str]:
    """A judge that the suite brings along, with its prompt as it is sent."""
    from misalign_eval.records.suite import JudgeSpec, texts_of

    if not isinstance(judge, JudgeSpec):
        return []
    numbers = "" if judge.kind == "label" else f", {judge.min} to {judge.max}"
    labels = f", labels {', '.join(judge.labels)}" if judge.labels else ""
    lines = ["", f"judge {name}  ({judge.kind}{numbers}{labels}), sent word for word:"]
    for probe, prompt in {"": judge.prompt, **judge.by_probe}.items():
        lines += [f"  of {probe}:"] if probe else []
        lines += [f"  {line}" for text in texts_of(prompt) for line in text.split("\n")]
    return lines


def _findings(suites: "list[CheckedSuite]") -> str:
    from misalign_eval.reports.escape import plain

    lines = []
    for suite in suites:
        for file, origin in suite.origins:
            lines += [f"{file}: read as {origin.format}", *(f"note: {loss}" for loss in origin.losses)]
        lines += [f"error: {problem}" for problem in suite.errors]
        lines += [f"warning: {problem}" for problem in suite.warnings]
        lines += [f"{suite.source}: {suite.summary}"]
    return plain("\n".join(lines)) + "\n"


def _checked_json(found: "list[CheckedSuite]", pairs: "list[ClosePair] | None") -> object:
    from misalign_eval.workflows.suites import pair_as_json

    suites = [suite.as_json() for suite in found]
    return suites if pairs is None else {"suites": suites, "closest": [pair_as_json(pair) for pair in pairs]}


def _closest(pairs: "list[ClosePair]", most: int) -> str:
    """The pairs under a heading for each kind that there is."""
    from misalign_eval.reports.escape import plain

    lines = [] if pairs else ["", "No two probes have more than stray words in common."]
    for kind, title in _KINDS.items():
        there = [pair for pair in pairs if kind in pair.kinds][:most]
        lines += ["", f"Closest {title} (1 = the same words and word pairs, 0 = none)"] if there else []
        for pair in there:
            lines += [f"{pair.similarity:.2f}"]
            for item in (pair.first, pair.second):
                html = " ".join(item.text.split())
                lines += [f"  {item.suite}: {item.probe}, prompt {item.prompt} ({item.split}): {_cut(html)}"]
    return plain("\n".join(lines)) + "\n"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"
