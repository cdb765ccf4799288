"""Hostile replies are shown as text: the short form of `matrix.py`, with all attacks in one run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from misalign_eval.records.markup import without_markup
from misalign_eval.reports.backends.terminal import MARGIN
from misalign_eval.reports.escape import plain
from tests.hostile.conftest import Asked
from tests.hostile.corpus import ATTACKS, BY_NAME
from tests.hostile.formats import cells_of
from tests.hostile.matrix import CHECKS, tried
from tests.hostile.typing_in import command

FEW = (
    "clear-screen", "eight-bit-csi", "scroll", "rich-markup", "forged-line", "build-server-command", "end-of-data",
    "out-of-attribute", "json-end", "formula-with-command", "cell-break", "table-break", "link", "heading", "raw-html",
    "forged-fence", "cdata-end", "xml-control", "attribute", "verdict-line", "end-of-fence", "bidi", "tag-letters",
    "half-surrogate",
)  # fmt: skip
SCRIPT = Path(__file__).with_name("strange_files.py")


@pytest.mark.slow
def test_nothing_acts_in_any_output_of_any_command(tmp_path: Path) -> None:
    row = tried([BY_NAME[name] for name in FEW], tmp_path)
    assert row.acted_in == []
    assert set(row.text_in) == set(CHECKS)


@pytest.mark.slow
def test_every_line_of_every_attack_is_shown_behind_a_margin(hostile_run: Asked) -> None:
    ended = command(hostile_run.folder, "show", "it", "--limit", "500")
    shown = set(ended.out.split("\n"))
    lines = {f"{MARGIN}{line}" for attack in ATTACKS for line in plain(attack.text).split("\n")}
    assert lines - shown == {f"{MARGIN}{line}" for line in plain("half \ud83d and \udc00 lone").split("\n")}
    ours = re.compile(r"===|  \| |[a-z][a-z' (),_0-9-]*:|\d+ of \d+ matching|$|[a-z]+: ")
    assert [line for line in shown if not ours.match(line)] == []


def test_exports_hold_the_text_itself(hostile_run: Asked) -> None:
    ended = command(hostile_run.folder, "export", "it", "-o", "it.jsonl", "-o", "it.csv")
    assert ended.code == 0
    rows = [json.loads(line) for line in (hostile_run.folder / "it.jsonl").read_text().splitlines()]
    replies = {row["probe"]: row["reply"] for row in rows if row["kind"] == "reply"}
    assert replies == {
        name: without_markup(attack.text).text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        for name, attack in BY_NAME.items()
    }
    text = (hostile_run.folder / "it.csv").read_bytes().decode()
    head, *table = cells_of(text)
    probe, reply = head.index("probe"), head.index("reply")
    cells = {row[probe]: row[reply] for row in table if row[reply]}
    assert cells["formula-with-command"] == "'=cmd|' /C calc'!A0"


@pytest.mark.slow
def test_strange_files_are_refused_in_one_line_within_time_and_memory() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " BAD " not in done.stdout
