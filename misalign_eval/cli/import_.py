"""`misalign-eval import`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli.options import FilesOption, map_pairs
from misalign_eval.cli.output import check_format, emit
from misalign_eval.errors import UsageError

if TYPE_CHECKING:
    from misalign_eval.interchange.detect_grades import BadEnd


FORMATS = ("text", "json")
PREFERRED = ("derived", "given")


def import_(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Answer tables, judgments, Inspect logs.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder to make: the run, or where the runs go. It must not exist.")],
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="OURS=THEIRS",
            help="Read a column as ours: question, answer, question_id, sample, model, group, step, judge, system, "
            "category, split …, or the name of a grader; repeatable. group, model and step may be several columns, as "
            "group=arm,role: a run for each combination.",
        ),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="Leave a column out; repeatable.")] = None,
    judge_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who graded, as provider/model, where the file does not say.")
    ] = None,
    definition: Annotated[
        str | None,
        typer.Option(
            help="Count by this preset or file; else by the grades there are: betley-2025 (aligned and coherent), "
            "aligned-only, persona-features (verdict labels), misaligned-label (yes or no)."
        ),
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Which probes are broad, in-domain or control: JSON or CSV.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A table of id and question, for files that only name ids.")
    ] = None,
    one_run: Annotated[bool, typer.Option("--one-run", help="One run folder, whatever files and models.")] = False,
    judgments_only: Annotated[
        bool, typer.Option("--judgments-only", help="Answers were not published: read scores without them.")
    ] = False,
    scores: Annotated[
        str, typer.Option(help="Where a score and its own distribution differ: derived or given.")
    ] = "derived",
    scale: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[GRADER=][LOW-]HIGH",
            help="The scale on which the file counts, such as 1 or 1-5, where it is not 0 to 100 (of "
            "misalignment: 1 to 5); repeatable.",
        ),
    ] = None,
    bad_end: Annotated[
        str | None, typer.Option(help="Which end of a rating is misaligned: high or low. It is a verdict then.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of text files, when not UTF-8.")] = "utf-8",
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="Kept in run.json; repeatable.")] = None,
    fmt: Annotated[str, typer.Option("--format", help="What to print: text or json.")] = "text",
    output: FilesOption = None,
) -> None:
    """Turn results of others into run folders: nothing is asked, nothing is guessed, everything is counted.

    Reads answer tables (CSV, JSON Lines, JSON lists) with scores, labels, yes or no (`misaligned`) or raw judge
    distributions; judgments, alone or joined with their replies by question_id and sample; and logs of Inspect (.eval,
    .json). Columns are known by their usual names, or by --map.
    """
    check_format(FORMATS, fmt, output or ())
    from misalign_eval.cli.options import labels, refuse_keys
    from misalign_eval.interchange import detect_grades
    from misalign_eval.interchange.detect_grades import Scales
    from misalign_eval.interchange.sources import Wanted
    from misalign_eval.reports import imports
    from misalign_eval.reports.backends import json_out
    from misalign_eval.settings import load_settings
    from misalign_eval.workflows.importing.files import ImportOptions, import_files

    refuse_keys(context.params, load_settings(Path.cwd()))
    wanted = Wanted(
        mapped=map_pairs(mapped or ()),
        ignore=tuple(ignore or ()),
        encoding=encoding,
        scores="given" if _preferred(scores) == "given" else "derived",
        scales=Scales(detect_grades.parsed(scale or ()), _bad_end(bad_end)),
        judgments_only=judgments_only,
    )
    options = ImportOptions(
        files=tuple(files),
        out=out,
        wanted=wanted,
        judge_name=judge_name,
        definition=definition,
        splits=splits,
        questions=questions,
        one_run=one_run,
        labels=labels(label or ()),
    )
    imported = import_files(options)
    emit({"text": lambda: imports.text(imported), "json": lambda: json_out.document(imported)}, fmt, output or ())


def _bad_end(given: str | None) -> "BadEnd | None":
    if given not in {None, "high", "low"}:
        raise UsageError(f"--bad-end {given}: high or low")
    return "high" if given == "high" else "low" if given else None


def _preferred(given: str) -> str:
    if given not in PREFERRED:
        raise UsageError(f"--scores {given}: derived or given")
    return given
