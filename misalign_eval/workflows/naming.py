"""Which folder each run goes to."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from misalign_eval.records.protocols import ModelSpec

RESULTS = Path("results")


def slug(text: str) -> str:
    """A file name that people recognise: letters, digits, dots, dashes.

    >>> slug("ft:gpt-4.1-mini:org::Abc/x")
    'ft-gpt-4.1-mini-org-Abc-x'
    """
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-.") or "model"


def default_out(suites: Sequence[str], specs: Sequence[ModelSpec], now: datetime) -> Path:
    """Where results go when the user does not say: `results/quick-gpt-5.4-20261123-141500`."""
    target = [slug(specs[0].given or specs[0].model)] if len(specs) == 1 else []
    return RESULTS / "-".join([*(slug(suite) for suite in suites), *target, f"{now:%Y%m%d-%H%M%S}"])


def folders(suites: Sequence[str], specs: Sequence[ModelSpec], out: Path) -> tuple[tuple[Path, ...], ...]:
    """A row a suite, a column a target. One run goes to `out` itself, several to folders in it."""
    if len(suites) == len(specs) == 1:
        return ((out,),)
    inside = [out / slug(suite) if len(suites) > 1 else out for suite in suites]
    return tuple(tuple(folder / name for name in target_names(specs)) for folder in inside)


def target_names(specs: Sequence[ModelSpec]) -> list[str]:
    """The name in misalign-eval.yaml, or the model's; with the provider before it, or a number behind, where needed."""
    short = [slug(spec.given or spec.model) for spec in specs]
    often = Counter(short)
    names = [name if often[name] == 1 else slug(spec.name) for name, spec in zip(short, specs, strict=True)]
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return unique
