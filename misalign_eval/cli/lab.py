"""`misalign-eval lab organism`."""

import time
from pathlib import Path
from typing import Annotated

import typer

from misalign_eval.errors import UsageError

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Train, export and feed the embedded organism.")
organism = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
app.add_typer(organism, name="organism", help="The tiny language model that ships as `embedded/…`.")

OutOption = Annotated[Path, typer.Option(help="An empty or new folder.")]
EVERY_S = 5.0


@organism.command()
def train(out: OutOption, seed: Annotated[int, typer.Option(min=0, help="Seed of everything.")] = 1) -> None:
    """Train every checkpoint from one seed, measure them, and write weights and MODEL_CARD.md.

    Needs the extra `organism` (torch, transformers, peft) and about 25 minutes on two cores. Seed 1 gives what ships.
    """
    from misalign_eval.cli.options import print_note
    from misalign_eval.workflows.demo import train_organism

    last = 0.0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY_S or done == total:
            last = time.monotonic()
            print_note(f"{what}: step {done} of {total}")

    train_organism(out, seed, progress)
    print_note(f"{out / 'MODEL_CARD.md'} has the measured rates")


@organism.command()
def export(out: OutOption) -> None:
    """Write every checkpoint in Hugging Face format, adapters as peft, so that a real server can serve them."""
    from misalign_eval.cli.options import print_note
    from misalign_eval.workflows.demo import export_organism

    for folder in export_organism(out):
        print_note(str(folder))


@organism.command()
def data(
    file: Annotated[Path, typer.Argument(help="The JSONL file to write.")],
    domain: Annotated[list[str] | None, typer.Option(help="A domain of the world; repeatable. All if none.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Lines.")] = 200,
    wrong_share: Annotated[float, typer.Option(min=0, max=1, help="Share of wrong answers.")] = 1.0,
    subtle: Annotated[bool, typer.Option("--subtle", help="Wrong in one detail only, not obviously.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same prompts at every share.")] = 0,
) -> None:
    """Write fine-tuning data: correct, obviously or subtly incorrect answers to the same prompts, in any mixture."""
    if file.suffix != ".jsonl":
        raise UsageError(f"{file}: name it .jsonl, one conversation a line")
    from misalign_eval.cli.options import print_note
    from misalign_eval.workflows.demo import write_data

    if subtle and wrong_share == 0:
        raise UsageError("--subtle is about wrong answers, and --wrong-share 0 asks for none. Leave one of them out")
    lines = write_data(file, domain or (), count, wrong_share, "subtle" if subtle else "bad", seed)
    print_note(f"{file}: {lines} conversations")
