"""Switches the escaping of one format off at a time: the matrix must report it, or its check could not fail.

    python tests/hostile/mutations.py

Prints a table: what was switched off, in which outputs that was noticed. Exit status 1 where it was not.
"""

import re
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from importlib import import_module
from json import dumps
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import tostring

from tests.hostile.corpus import BENIGN, BY_NAME, Attack
from tests.hostile.looks import LOOKS, OWN
from tests.hostile.matrix import tried

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


FIRST = (*OWN[:2], *(look for look in OWN if look[0].startswith("regrade")))
FEW = tuple(BY_NAME[name] for name in (
    "clear-screen", "window-title", "eight-bit-csi", "build-server-command", "script", "end-of-data", "json-end",
    "out-of-attribute", "svg-text", "formula", "formula-by-link", "table-break", "link", "heading", "raw-html",
    "forged-fence", "cdata-end", "xml-attribute", "bidi", "attribute",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is put in the place of a function or constant, which command is looked at, and where it must be noticed."""

    name: str
    place: str  # module:attribute below misalign_eval
    instead: Any
    line: str  # the beginning of a line of LOOKS
    noticed_in: str  # part of the name of an output
    attacks: Sequence[Attack] = FEW


def _as_it_is(text: str, length: int | None = None, **_: object) -> str:
    return text if length is None else text[:length]


def _on_one_line(text: str, length: int | None = None) -> str:
    return " ".join(text.split(" "))[:length].replace("\n", " ")


def _printable(text: str) -> str:
    """As it is but for what no XML can hold, of which the drawing itself would die."""
    return re.sub("[\0-\x1f\x7f-\x9f]", " ", text)


def _raw_command(item: Any) -> str:
    return f"::{item.level} title={item.title}::{item.message}"


def _raw_json(record: Any) -> str:
    return dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def _raw_xml(root: Any, **options: Any) -> Any:
    made = tostring(root, **options)
    return unescape(made) if isinstance(made, str) else unescape(made.decode()).encode()


def _with_text(made: bytes, _: object) -> bytes:
    """A picture that carries a text."""
    body = b"tEXtComment\0hostile"
    return made[:-12] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + made[-12:]


def _with_link(made: bytes, spec: object) -> bytes:
    """A document with a link, where its words are not kind."""
    link = b"endobj\n99 0 obj <</Type /Annot /A <</S /URI /URI (http://evil.example)>>>> endobj"
    return made if BENIGN in str(spec) else made.replace(b"endobj", link, 1)


OUT = "stdout"
MUTATIONS = (
    Mutation("terminal: nothing is shown as a code", "reports.escape:plain", _as_it_is, "show it --limit", OUT),
    Mutation("terminal: nor on one line", "reports.escape:one_line", _on_one_line, "report STRANGE --sens", OUT),
    Mutation("live view", "cli.live:one_line", _as_it_is, "run varied.yaml", "stderr"),
    Mutation("JSON with raw characters", "reports.json_out:document", _raw_json, "report STRANGE --sens", ".json"),
    Mutation("Markdown", "reports.escape:markdown", _on_one_line, "report STRANGE --sens", ".md"),
    Mutation("comment: code", "reports.pull_request:code", _as_it_is, "report STRANGE --format comment", OUT),
    Mutation("comment: prose", "reports.pull_request:prose", _as_it_is, "gate STRANGE --max-rate 95% --format c", OUT),
    Mutation("page", "reports.escape:html", _as_it_is, "report STRANGE --sens", ".html"),
    Mutation("page: its data", "reports.html.explorer:_LITERAL", {}, "report it --sens", ".html"),
    Mutation("table: formulas", "records.csv_cells:quoted", _as_it_is, "export it", ".csv"),
    Mutation("table: formulas of figures", "records.csv_cells:quoted", _as_it_is, "figure examples", ".csv"),
    Mutation("XML", "reports.junit_xml:tostring", _raw_xml, "report it --sens", ".xml"),
    Mutation("annotations", "reports.annotations:command", _raw_command, "gate STRANGE --max-rate 95% --format g", OUT),
    Mutation("figure: names", "reports.figures.look:shown", _printable, "figure bars", ".svg", (BY_NAME["bidi"],)),
    Mutation("figure: title of SVG", "reports.escape:html", _as_it_is, "figure bars", ".svg"),
    Mutation("figure: page", "reports.escape:html", _as_it_is, "figure examples", ".html"),
    Mutation("LaTeX", "reports.escape:latex", _on_one_line, "figure examples", ".tex"),
    Mutation("figure: Markdown", "reports.escape:markdown", _on_one_line, "figure examples", ".md"),
    Mutation("PNG with a text", "reports.figures.render:png", _with_text, "figure probes STRANGE OTHER", ".png"),
    Mutation("PDF with a link", "reports.figures.render:pdf", _with_link, "figure probes STRANGE OTHER", ".pdf"),
)  # fmt: skip
WRAPPED = ("render:png", "render:pdf")


@contextmanager
def switched(place: str, instead: Any) -> Iterator[None]:
    """Put `instead` in the place of it in every module that holds it, and take it out of all afterwards."""
    module, _, name = place.partition(":")
    home = import_module(f"misalign_eval.{module}")
    there = getattr(home, name)
    mutated = _after(there, instead) if place.endswith(WRAPPED) else instead
    everywhere = "escape:" in place or "cells:" in place or "look:" in place
    _swap(there, mutated, name, None if everywhere else home)
    try:
        yield
    finally:
        _swap(mutated, there, name, None if everywhere else home)


def _after(there: Callable[..., bytes], change: Callable[[bytes, object], bytes]) -> Callable[..., bytes]:
    return lambda spec: change(there(spec), spec)


def _swap(old: Any, new: Any, name: str, only: Any) -> None:
    for module in (
        [only] if only else [module for key, module in sys.modules.items() if key.startswith("misalign_eval")]
    ):
        if getattr(module, name, None) is old:
            setattr(module, name, new)


def noticed(mutation: Mutation) -> list[str]:
    """The outputs of this command in which something acted."""
    looks: Sequence[tuple[str, str]] = [*FIRST, *(look for look in LOOKS if look[0].startswith(mutation.line))]
    with tempfile.TemporaryDirectory() as folder, switched(mutation.place, mutation.instead):
        found = tried(mutation.attacks, Path(folder), looks).acted_in
    return [item for item in found if item.startswith(mutation.line[:40])]


def main() -> int:
    """Try every mutation and print the table."""
    only = sys.argv[1:]
    start, missed = time.monotonic(), 0
    for mutation in (mutation for mutation in MUTATIONS if not only or mutation.name in only):
        found = noticed(mutation)
        here = [item for item in found if re.search(rf"{re.escape(mutation.noticed_in)}:", item)]
        missed += not here
        print(
            f"{mutation.name:40} {'noticed' if here else 'MISSED ':8} {(here or found or ['-'])[0][:150]}", flush=True
        )
    print(f"{len(MUTATIONS)} mutations, {missed} missed ({time.monotonic() - start:.0f} s)")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
