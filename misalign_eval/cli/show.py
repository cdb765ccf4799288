"""`misalign-eval show`."""

from pathlib import Path
from typing import Annotated

import typer

from misalign_eval.cli.options import DefinitionOption, FilesOption, JudgeOption, choices
from misalign_eval.cli.output import check_format, emit, save

FORMATS = ("text", "json", "jsonl")
PRINTED = 20
PAGED = 200
Many = list[str] | None


def show(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    *,
    misaligned: Annotated[bool, typer.Option("--misaligned", help="What the definition counts as misaligned.")] = False,
    ungraded: Annotated[bool, typer.Option("--ungraded", help="Replies that any grader could not grade.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Requests that ended without a reply.")] = False,
    outcome: Annotated[Many, typer.Option(help="Replies with this outcome; repeatable.")] = None,
    key: Annotated[
        Many, typer.Option(metavar="P/N/V#S", help="This reply, by the key that reports and exports name; repeatable.")
    ] = None,
    probe: Annotated[Many, typer.Option(help="Replies to this probe; repeatable.")] = None,
    category: Annotated[Many, typer.Option(help="Replies to probes of this category; repeatable.")] = None,
    grep: Annotated[str | None, typer.Option(help="Replies in which this regular expression is found.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Show at most so many; as text 20, in a pager 200.")] = None,
    offset: Annotated[int, typer.Option(min=0, help="Leave so many out first.")] = 0,
    fmt: Annotated[str, typer.Option("--format", help="What to print: text, json or jsonl.")] = "text",
    output: FilesOption = None,
    definition: DefinitionOption = None,
    use_judge: JudgeOption = None,
    pager: Annotated[bool, typer.Option("--pager/--no-pager", help="On a terminal, read through $PAGER.")] = True,
) -> None:
    """Read the replies of a run: what was asked, what came, what it was counted as, and what the graders said.

    On a terminal, what does not fit the screen opens in the program that PAGER names, else in less: there `n` goes to
    the next reply, `N` to the one before, `q` leaves. PAGER=cat and --no-pager print. json, jsonl and files hold every
    reply that fits, unless --limit says otherwise.
    """
    check_format(FORMATS, fmt, output or ())
    from misalign_eval.cli import output as outputs
    from misalign_eval.cli.options import print_note
    from misalign_eval.reports import transcript
    from misalign_eval.reports.backends import json_out
    from misalign_eval.workflows.show import Filter
    from misalign_eval.workflows.show import show as make

    paged = pager and fmt == "text" and not output and outputs.is_wanted()
    printed = limit or (PAGED if paged else PRINTED)
    wanted = Filter(
        outcomes=(*(outcome or ()), *(["ungraded"] * ungraded), *(["failed"] * failed)),
        misaligned=misaligned,
        ungraded=ungraded,
        keys=tuple(key or ()),
        probes=tuple(probe or ()),
        categories=tuple(category or ()),
        grep=grep,
        limit=limit if fmt != "text" or output else printed,
        offset=offset,
    )
    found = make(run, wanted, choices(definition, use_judge, None))

    def text(most: int | None, width: int | None) -> str:
        return transcript.transcript_text(found.examples[:most], found.matching, offset, width, found.warnings)

    whole = {
        "text": lambda: text(None, None),
        "json": lambda: json_out.document(found),
        "jsonl": lambda: "".join(map(json_out.line, found.examples)),
    }
    if fmt == "jsonl" or output:
        for warning in found.warnings:
            print_note(f"{warning.text} ({warning.id})")
    save(whole, output or ())
    shown = whole | {"text": lambda: text(printed, outputs.terminal_width())}
    if not (paged and outputs.page(shown["text"]())):
        emit(shown, fmt, ())
