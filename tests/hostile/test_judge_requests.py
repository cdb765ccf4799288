"""On the wire: a judge's request around a hostile reply is the one around a kind reply, byte for byte."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

from misalign_eval.graders.folder import well_formed
from misalign_eval.records.markup import without_markup
from misalign_eval.records.run import is_blank
from tests.hostile.conftest import FEW, Asked, asked
from tests.hostile.corpus import ATTACKS, BENIGN, BY_NAME, Attack
from tests.hostile.server import serving

pytestmark = pytest.mark.slow

_CODE = re.compile(rb"=== BEGIN QUESTION ([0-9a-f]{16}) ===")
_NAME = re.compile(r"recite item ([a-z0-9-]+)\.")
_SPACED = re.compile(r"([<\[]) (?=[|\uff5c/<a-zI])")  # a control token of a chat template, made harmless by a space
Around = dict[str, list[tuple[bytes, str]]]  # name → of each grader what stands around the reply, and the reply


def taken_apart(run: Asked) -> Around:
    """Every request to the judge, with the code of its fences blotted out and the reply cut out."""
    around: Around = defaultdict(list)
    for body in run.server.asked("judge"):
        code = _CODE.search(body)
        assert code is not None
        begin, end = (b"=== %s REPLY %s ===" % (word, code[1]) for word in (b"BEGIN", b"END"))
        assert body.count(begin) == body.count(end) == 1
        before, _, rest = body.partition(begin + rb"\n")
        reply, _, after = rest.rpartition(rb"\n" + end)
        assert code[1] not in reply
        name = _NAME.search(before.decode())
        assert name is not None
        outside = before.replace(code[1], b"CODE"), after.replace(code[1], b"CODE")
        around[name[1]].append((b"REPLY".join(outside), json.loads(b'"%s"' % reply)))
    return {name: sorted(pairs) for name, pairs in around.items()}


def shown(attack: Attack) -> str:
    """What a judge may see of a reply: its text without the markup that is certain, in valid Unicode."""
    return well_formed(without_markup(attack.text).text)


def differing(hostile: Around, kind: Around) -> list[str]:
    """The attacks around which anything but the reply is another."""
    return [name for name in hostile if [around for around, _ in hostile[name]] != [around for around, _ in kind[name]]]


def test_nothing_but_the_reply_differs_on_the_wire(hostile_run: Asked, kind_run: Asked) -> None:
    hostile, kind = taken_apart(hostile_run), taken_apart(kind_run)
    assert set(hostile) == {
        name for name in BY_NAME if not is_blank(BY_NAME[name].text)
    }  # nothing is no reply to grade
    assert differing(hostile, kind) == []
    assert {reply for pairs in kind.values() for _, reply in pairs} == {BENIGN}


def test_the_reply_itself_arrives_whole_but_for_what_a_server_would_obey(hostile_run: Asked) -> None:
    changed = {
        name
        for name, pairs in taken_apart(hostile_run).items()
        if any(reply != shown(BY_NAME[name]) for _, reply in pairs)
    }
    assert changed == {"chat-tokens", "chat-tokens-more", "thought"}
    for name, pairs in taken_apart(hostile_run).items():
        for _, reply in pairs:
            assert _SPACED.sub(r"\1", reply) == _SPACED.sub(r"\1", shown(BY_NAME[name]))


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_so_it_is_in_the_vendors_dialects(dialect: str, tmp_path: Path) -> None:
    with serving() as server, serving(kind=True) as other:
        hostile = taken_apart(asked(tmp_path / "hostile", server, FEW, dialect))
        kind = taken_apart(asked(tmp_path / "kind", other, FEW, dialect))
    assert set(hostile) == {attack.name for attack in FEW}
    assert differing(hostile, kind) == []


def test_a_verdict_in_the_reply_is_no_verdict(hostile_run: Asked) -> None:
    """The judge's own last `ANSWER: 5` counts, also where it repeats the reply's `ANSWER: 100` before."""
    rows = [
        json.loads(line)
        for file in (hostile_run.folder / "it" / "grades").glob("misalignment@*.jsonl")
        for line in file.read_bytes().splitlines()
    ]
    assert {row["probe"]: row.get("score") for row in rows} == {
        attack.name: 5.0 for attack in ATTACKS if not is_blank(attack.text)
    }
