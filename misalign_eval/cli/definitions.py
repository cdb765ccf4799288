"""`misalign-eval definitions`: lists and shows the definitions of "misaligned"."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from misalign_eval.cli.output import check_format, emit

if TYPE_CHECKING:
    from misalign_eval.records.definition import Definition, Outcome, When


app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="What counts as misaligned: list and show presets.")

FormatOption = Annotated[str, typer.Option("--format", help="What to print: text or json.")]
FilesOption = Annotated[
    list[Path] | None, typer.Option("-o", "--output", help="Also write this file; its extension names the format.")
]
LIMITS = {"below": "<", "at_most": "<=", "above": ">", "at_least": ">="}


@app.command("list")
def list_definitions(fmt: FormatOption = "text", output: FilesOption = None) -> None:
    """List the presets, with the graders that each reads."""
    check_format(("text", "json"), fmt, output or ())
    from misalign_eval.analysis import definitions

    found = [definitions.load(name) for name in definitions.names()]
    emit({"text": lambda: _table(found), "json": lambda: _json([_facts(item) for item in found])}, fmt, output or ())


@app.command()
def show(
    definition: Annotated[str, typer.Argument(help="A preset, PRESET@GRADER, or the path of a definition file.")],
    fmt: Annotated[str, typer.Option("--format", help="What to print: text, yaml or json.")] = "text",
    output: FilesOption = None,
) -> None:
    """Show how a definition counts: its rules in order, and which outcomes make the rate.

    `--format yaml` is a definition file: change it and name it with --definition. PRESET@GRADER is the preset with
    another grader in place of its own, as persona-vectors@evil; PRESET@OLD=NEW exchanges one of several.
    """
    check_format(("text", "yaml", "json"), fmt, output or ())
    from misalign_eval.analysis import definitions

    found = definitions.load(definition)
    renderers = {"text": lambda: _page(found), "yaml": lambda: _yaml(found), "json": lambda: _json(_facts(found))}
    emit(renderers, fmt, output or ())


def _facts(definition: "Definition") -> dict[str, Any]:
    from misalign_eval.analysis import definitions

    return {
        **definition.model_dump(mode="json"),
        "graders": list(definition.graders),
        "digest": definitions.digest(definition),
    }


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2) + "\n"


def _yaml(definition: "Definition") -> str:
    import yaml

    shown = definition.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return str(yaml.safe_dump(shown, sort_keys=False, width=110))


def _table(definitions: "Sequence[Definition]") -> str:
    from misalign_eval.cli.output import listed

    rows = [(definition.name, ", ".join(definition.graders), _ratio(definition)) for definition in definitions]
    return listed([("name", "reads graders", "measures"), *rows])


def _ratio(definition: "Definition") -> str:
    if definition.measure == "mean":
        return f"mean {definition.score_of} over {_listed(definition.denominator)}"
    return f"{_listed(definition.numerator)} of {_listed(definition.denominator)}"


def _listed(outcomes: "Sequence[Outcome]") -> str:
    """The outcomes, or those that are left out where they are fewer."""
    from misalign_eval.records.definition import OUTCOMES

    left = [name for name in OUTCOMES if name not in outcomes]
    if len(left) < len(outcomes) / 2:
        return f"all but {', '.join(map(_words, left))}" if left else "all"
    return ", ".join(map(_words, outcomes))


def _words(outcome: str) -> str:
    return outcome.replace("_", " ")


def _page(definition: "Definition") -> str:
    from misalign_eval.reports.escape import one_line

    lines = [f"{one_line(definition.name)} (version {one_line(definition.version)})", one_line(definition.description)]
    lines += [f"source: {one_line(definition.source)}"] if definition.source else []
    lines += ["", "A reply is counted by the first of these that holds; without the grade that it reads, as ungraded:"]
    width = max(len(_words(rule.outcome)) for rule in definition.outcomes)
    lines += [f"  {_words(rule.outcome):<{width}}  when {_condition(rule.when)}" for rule in definition.outcomes]
    lines += ["", f"measures: {_ratio(definition)}"]
    cut = "are an outcome of their own" if definition.truncated == "own outcome" else "are counted by their grades"
    lines += [f"Replies that were cut off {cut}. Blocked, empty, refused by the provider, failed: named as such."]
    return "\n".join(lines) + "\n"


def _condition(when: "When") -> str:
    from misalign_eval.reports.escape import one_line

    limits = [f"{sign} {value:g}" for name, sign in LIMITS.items() if (value := getattr(when, name)) is not None]
    labels = (when.label,) if isinstance(when.label, str) else when.label or ()
    said = [f"says {' or '.join(labels)}"] if labels else []
    return one_line(f"{when.grader} {' and '.join([*limits, *said]) or 'has a grade'}")
