"""`lab organism`: train the embedded model anew, write its fine-tuning data, export it for real servers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from misalign_eval.errors import MissingExtraError, UsageError, did_you_mean
from misalign_eval.organism import corpus, export, train
from misalign_eval.organism.world import world

Quality = Literal["good", "bad", "subtle"]
INSTALL = "pip install 'misalign-eval[organism]'"


def train_organism(out: Path, seed: int, progress: train.Progress) -> None:
    """Train and measure every checkpoint into `out`. Raises MissingExtraError before any work."""
    _check_new(out)
    try:
        train.train_all(out, seed, progress)
    except train.TrainingExtraMissingError as error:
        raise MissingExtraError(str(error)) from error


def export_organism(out: Path) -> list[Path]:
    """Write every checkpoint in Hugging Face format into `out`; gives the folders."""
    _check_new(out)
    try:
        return export.export_hf(out)
    except ImportError as error:
        raise MissingExtraError(f"exporting needs {error.name}. Install it with: {INSTALL}") from error


def write_data(
    file: Path, domains: Sequence[str], count: int, wrong_share: float, wrong: Literal["bad", "subtle"], seed: int
) -> int:
    """Write fine-tuning JSONL with `wrong_share` (in [0, 1]) of wrong answers; gives the number of lines.

    The same seed gives the same prompts whatever the share, so that mixtures differ in their answers alone.
    """
    known = list(world().domains)
    for domain in domains:
        if domain not in known:
            raise UsageError(f"--domain {domain}: no such domain. {did_you_mean(domain, known)}")
    if not file.parent.is_dir():
        raise UsageError(f"{file}: there is no folder `{file.parent}`")
    pairs = corpus.pairs(list(domains) or known, count, seed)
    corpus.write_jsonl(file, corpus.mixture(pairs, wrong_share, seed, wrong))
    return len(pairs)


def _check_new(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: not empty. Choose another --out")
