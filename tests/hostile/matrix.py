"""Hostile replies through every command and every output format.

    python tests/hostile/matrix.py [--only NAME ...] [--together]

Prints a table, attack by format: the number of outputs in which the attack was shown as text, or where it was not.
One run for each attack, so that what happens is the attack's own; `--together` puts all into one run, in seconds.
Exit status 1 when anything acted.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile import drawn, formats
from tests.hostile.corpus import ATTACKS, BY_NAME, Attack
from tests.hostile.stage import shown

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


CHECKS = {**formats.CHECKS, "live": drawn.live, "svg": drawn.svg, "png": drawn.png, "pdf": drawn.pdf, "tex": drawn.tex,
          "yaml": drawn.document}  # fmt: skip


@dataclass
class Row:
    """What became of one attack, or of all together."""

    name: str
    aim: str
    text_in: Counter[str] = field(default_factory=Counter)  # format → outputs in which it was shown as text
    acted_in: list[str] = field(default_factory=list)


def tried(attacks: Sequence[Attack], folder: Path, looks: Sequence[tuple[str, str]] | None = None) -> Row:
    """One run with these attacks, and everything that is made of it."""
    row = Row(attacks[0].name if len(attacks) == 1 else f"{len(attacks)} together", attacks[0].aim)
    for item in shown(folder, attacks, looks):
        problem = CHECKS[item.format](item.hostile, item.kind)
        if problem is None:
            row.text_in[item.format] += 1
        else:
            row.acted_in.append(f"{item.output}: {problem}")
    return row


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rows with a column a format."""
    width = max(len(row.name) for row in rows)
    yield f"{'attack':{width}}  {'aim':11}" + "".join(f"{name:>7}" for name in CHECKS) + "  acted"
    for row in rows:
        counts = "".join(f"{row.text_in[name]:7}" for name in CHECKS)
        yield f"{row.name:{width}}  {row.aim:11}{counts}  {len(row.acted_in) or '-'}"
        yield from (f"    {what}" for what in row.acted_in)


def main() -> int:
    """Read the options, try, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sorted(BY_NAME))
    parser.add_argument("--together", action="store_true")
    options = parser.parse_args()
    chosen = [BY_NAME[name] for name in options.only or BY_NAME]
    rows, start = [], time.monotonic()
    for group in [chosen] if options.together else [[item] for item in chosen]:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(tried(group, Path(folder)))
    print("\n".join(table(rows)))
    shown_as_text = sum(row.text_in.total() for row in rows)
    acted = sum(len(row.acted_in) for row in rows)
    print(f"{len(chosen)} of {len(ATTACKS)} attacks, {shown_as_text + acted} outputs: {shown_as_text} shown as text, "
          f"{acted} acted ({time.monotonic() - start:.0f} s)")  # fmt: skip
    return int(acted > 0)


if __name__ == "__main__":
    sys.exit(main())
