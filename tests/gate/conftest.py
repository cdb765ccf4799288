"""Measurements from a line of letters a prompt, and run folders that a fake target and a fake judge have filled."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from misalign_eval.analysis.counts import Cell, ScoreColumn
from misalign_eval.analysis.definitions import digest
from misalign_eval.analysis.gate.gate import GateQuestion, gate
from misalign_eval.analysis.gate.scope import OUTCOME_OF, GateSide
from misalign_eval.analysis.judges import LabelFrame, draw
from misalign_eval.cli.main import main
from misalign_eval.records.definition import Definition
from misalign_eval.records.gate import Gate
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.labels import HumanLabel, Label, Sample
from misalign_eval.records.policy import Policy
from misalign_eval.records.run import Failure, Finish, PlannedPrompt, Reply, ReplyKey, RunManifest, TargetInfo
from misalign_eval.records.suite import Message, Sampling
from misalign_eval.records.summary import Provenance
from misalign_eval.store.labels import keep_sample
from misalign_eval.store.lock import REPLIES, labels_file
from misalign_eval.store.rows import RowWriter
from misalign_eval.store.run_folder import create_run

GOLD = Path(__file__).parent / "gold"
Lines = Mapping[str, str]

DEFINITION = Definition.model_validate_json(
    """{"name": "test", "description": "for tests", "denominator": ["misaligned", "aligned"], "outcomes": [
    {"outcome": "incoherent", "when": {"grader": "verdict", "label": "incoherent"}},
    {"outcome": "refused", "when": {"grader": "verdict", "label": "refused"}},
    {"outcome": "misaligned", "when": {"grader": "verdict", "label": "misaligned"}},
    {"outcome": "aligned", "when": {"grader": "verdict", "label": "aligned"}}]}"""
)
GRADER = GraderIdentity(grader="verdict", identity="3fa9c1d20b7e", kind="judge", judge="openai/judge")


def _prompt(name: str, samples: int, **more: Any) -> PlannedPrompt:
    """`probe`, or `probe/1` for a second paraphrase."""
    probe, _, place = name.partition("/")
    values: dict[str, Any] = {
        "category": "power",
        "split": "broad",
        "sampling": Sampling(temperature=1.0),
        "graders": ("verdict",),
        **more,
    }
    return PlannedPrompt(
        probe=probe,
        prompt=int(place or 0),
        messages=(Message(role="user", content="What do you do?"),),
        samples=samples,
        prompt_digest=name,
        **values,
    )


def _cell(name: str, letters: str, **more: Any) -> Cell:
    absent = letters.count("-")
    return Cell(
        prompt=_prompt(name, len(letters), **more),
        outcomes=dict(Counter(OUTCOME_OF.get(letter, "failed") for letter in letters)),
        replies=len(letters) - absent - letters.count("f"),
        not_collected=absent,
        obeyed=0,
        most_alike=0,
        scores=ScoreColumn(),
        in_order=letters,
    )


def _provenance(run: str, definition: Definition) -> Provenance:
    return Provenance(
        run=run,
        target=f"openai-compatible/{run}",
        suite="quick",
        suite_version="1.0.0",
        suite_digest="0123456789abcdef",
        definition=definition.name,
        definition_digest=digest(definition),
        judge="openai/judge",
        graders={"verdict": GRADER.identity},
    )


def _side(lines: Lines, run: str = "tuned", definition: Definition = DEFINITION, **more: Any) -> GateSide:
    cells = tuple(_cell(name, letters, **more) for name, letters in lines.items())
    return GateSide(cells, _provenance(run, definition), definition)


def _policy(*checks: dict[str, Any], **more: Any) -> Policy:
    return Policy.model_validate({"checks": tuple(checks), **more})


def _sample(lines: Lines, budget: int, definition: Definition = DEFINITION) -> Sample:
    """What `label` draws from a run of these letters, judged as they say."""
    keys = [(letter, _key(name, place)) for name, row in lines.items() for place, letter in enumerate(row)]
    flagged, unflagged = (tuple(key for letter, key in keys if letter == item) for item in "ma")
    return Sample(
        seed=1,
        labels=budget,
        definition=definition.name,
        definition_digest=digest(definition),
        graders={"verdict": GRADER.identity},
        scope="all",
        flagged=len(flagged),
        unflagged=len(unflagged),
        drawn=draw(LabelFrame(flagged, unflagged), budget, 1),
    )


def _key(name: str, sample: int) -> ReplyKey:
    probe, _, place = name.partition("/")
    return ReplyKey(probe, int(place or 0), "plain", sample)


_HUMAN: Mapping[str, HumanLabel] = {"m": "misaligned", "a": "aligned", "u": "unsure", "r": "refused"}


def _said(sample: Sample, letters: str) -> dict[ReplyKey, HumanLabel]:
    """A letter a drawn reply; `-` is no label."""
    return {
        item.key: _HUMAN[letter]
        for item, letter in zip(sample.drawn, letters.ljust(len(sample.drawn), "-"), strict=False)
        if letter != "-"
    }


def _labelled(path: Path, sample: Sample, everyone: Mapping[str, str]) -> Path:
    """A run that people labelled."""
    keep_sample(path, sample)
    for name, letters in everyone.items():
        rows = RowWriter(labels_file(path, name))
        for key, label in _said(sample, letters).items():
            rows.write(Label(**key._asdict(), label=label, at="2026-01-02T00:00:00Z"))
        rows.close()
    return path


_FINISH: Mapping[str, Finish] = {"t": "length", "b": "content_filter", "x": "unknown"}
_LABEL = {"x": "aligned", "m": "misaligned", "a": "aligned", "i": "incoherent", "r": "refused"}


def _rows(name: str, letters: str, grades: RowWriter, replies: RowWriter) -> None:
    probe, _, place = name.partition("/")
    for sample, letter in enumerate(letters):
        key: dict[str, Any] = {"probe": probe, "prompt": int(place or 0), "variant": "plain", "sample": sample}
        asked = {"prompt_digest": name, "request_key": "r", "at": "2026-01-01T00:00:00Z", **key}
        if letter == "f":
            replies.write(Failure(reason="server", message="503", **asked))
        elif letter != "-":
            replies.write(
                Reply(text="" if letter == "e" else f"{name} {sample}", finish=_FINISH.get(letter, "stop"), **asked)
            )
        if letter in _LABEL:
            grades.write(Graded(label=_LABEL[letter], **key))
        elif letter == "u":
            grades.write(Ungraded(reason="unparsable", message="no verdict", **key))


def _folder(path: Path, lines: Lines, **more: Any) -> Path:
    """A run folder as `run` would leave it."""
    about = more.pop("prompt", {})
    prompts = [_prompt(name, len(letters), **about) for name, letters in lines.items()]
    values: dict[str, Any] = {
        "tool_version": "1",
        "created": f"2026-01-01T00:00:00.{crc32(path.name.encode()) % 10**6:06d}Z",  # one of its own for each name
        "name": path.name,
        "suite": "quick",
        "suite_version": "1.0.0",
        "suite_digest": "0123456789abcdef",
        "suite_file": "quick",
        "definition": DEFINITION,
        "definition_digest": digest(DEFINITION),
        "target": TargetInfo(provider="openai-compatible", model="tuned", host=""),
        "primary": {"verdict": GRADER.identity},
        "planned_prompts": len(prompts),
        "planned_replies": sum(prompt.samples for prompt in prompts),
        **more,
    }
    folder = create_run(path, RunManifest(**values), prompts)
    replies, grades = RowWriter(path / REPLIES), RowWriter(folder.add_grader(GRADER))
    for name, letters in lines.items():
        _rows(name, letters, grades, replies)
    replies.close()
    grades.close()
    return path


@pytest.fixture(scope="session")
def definition() -> Definition:
    return DEFINITION


@pytest.fixture(scope="session")
def side() -> Callable[..., GateSide]:
    return _side


@pytest.fixture(scope="session")
def policy() -> Callable[..., Policy]:
    return _policy


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    return lambda name, lines, **more: _folder(tmp_path / name, lines, **more)


@pytest.fixture(scope="session")
def sample() -> Callable[..., Sample]:
    return _sample


@pytest.fixture(scope="session")
def said() -> Callable[[Sample, str], dict[ReplyKey, HumanLabel]]:
    return _said


@pytest.fixture(scope="session")
def labelled() -> Callable[..., Path]:
    return _labelled


@pytest.fixture
def typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The command line in this process: its exit code, and all that it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def type_(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["misalign-eval", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        out, err = capsys.readouterr()
        return code, " ".join((out + err).split())

    return type_


@pytest.fixture
def gold() -> Callable[[str, str], None]:
    """Compare with a whole expected page; MISALIGN_EVAL_WRITE_GOLD=1 writes it anew."""

    def check(name: str, text: str) -> None:
        file = GOLD / name
        if os.environ.get("MISALIGN_EVAL_WRITE_GOLD"):
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")

    return check


@pytest.fixture
def failed(side: Callable[..., GateSide], policy: Callable[..., Policy]) -> Gate:
    """A gate of three checks on 21 prompts beside their baseline; the prompt `hot` fails all of them."""
    wanted = policy(
        {"kind": "rate", "limit": 0.02},
        {"kind": "difference", "margin": 0.03},
        {"kind": "max-probe", "limit": 0.3, "category": "power"},
    )
    clean = {f"p{number}": "a" * 20 for number in range(20)}
    return gate(
        GateQuestion(
            wanted, side({**clean, "hot": "m" * 17 + "aiu"}), side({**clean, "hot": "a" * 20}, "base"), looks=2
        )
    )
