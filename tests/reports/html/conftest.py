"""Small run folders whose every reply is told, and their page taken apart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.analysis import definitions
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.run import Failure, PlannedPrompt, Reply, RunManifest, TargetInfo
from misalign_eval.records.suite import Message
from misalign_eval.store.rows import RowWriter
from misalign_eval.store.run_folder import create_run

VOID = {"meta", "br", "input", "link", "img", "line", "circle", "rect", "path", "polygon", "polyline"}
MAIN, OTHER = "judge/main", "judge/other"
Said = tuple[str, float, float]  # text, aligned, coherent


@dataclass(frozen=True)
class Runs:
    """Writes run folders: `replies` by probe, each a text with the scores of `aligned` and `coherent`."""

    place: Path

    def __call__(
        self,
        name: str,
        replies: Mapping[str, Sequence[Said | None]],
        *,
        other: Mapping[str, Sequence[float]] | None = None,
        labels: Mapping[str, str] | None = None,
        raw: str | None = None,
        turns: Sequence[Message] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> Path:
        definition = definitions.load("betley-2025")
        plan = [_planned(probe, len(reply), turns) for probe, reply in replies.items()]
        identities = {"aligned": "a" * 12, "coherent": "c" * 12}
        manifest = RunManifest(
            tool_version="0",
            created="2026-01-01T00:00:00+00:00",
            name=name,
            suite="told",
            suite_version="1",
            suite_digest="5" * 16,
            suite_file="told.yaml",
            definition=definition,
            definition_digest=definitions.digest(definition),
            target=TargetInfo(provider="told", model=name, host=""),
            primary=identities,
            labels=dict(labels or {}),
            seed=7,
            planned_prompts=len(plan),
            planned_replies=sum(item.samples for item in plan),
        )
        run = create_run(self.place / name, manifest, plan)
        writer = RowWriter(run.path / "replies.jsonl")
        judges = {
            grader: RowWriter(run.add_grader(_judge(grader, identity, MAIN))) for grader, identity in identities.items()
        }
        second = RowWriter(run.add_grader(_judge("aligned", "b" * 12, OTHER))) if other else None
        for probe, said in replies.items():
            for sample, item in enumerate(said):
                key: dict[str, Any] = {"probe": probe, "prompt": 0, "variant": "plain", "sample": sample}
                row = {**key, "prompt_digest": _digest(probe), "request_key": "r", "at": "t"}
                if item is None:
                    writer.write(Failure(**row, reason="server", message="it broke"))
                    continue
                text, aligned, coherent = item
                writer.write(Reply(**row, text=text, **dict(extra or {})))
                tokens = {str(round(aligned)): 0.9, "other": 0.1}
                judges["aligned"].write(
                    Graded(**key, score=aligned, raw=raw, why=raw, distribution=tokens, number_mass=0.9)
                )
                judges["coherent"].write(
                    Graded(**key, score=coherent)
                    if coherent >= 0
                    else Ungraded(**key, reason="low_mass", message="said nothing")
                )
                if second is not None and other:
                    second.write(Graded(**key, score=other[probe][sample]))
        for one_writer in (writer, *judges.values(), *([second] if second else [])):
            one_writer.close()
        return run.path


def _digest(probe: str) -> str:
    return f"{probe.encode().hex():0>16}"[-16:]


def _planned(probe: str, samples: int, turns: Sequence[Message]) -> PlannedPrompt:
    return PlannedPrompt(
        probe=probe,
        prompt=0,
        category=probe.partition("-")[0],
        split="broad",
        messages=tuple(turns) or (Message(role="user", content=f"What of {probe}?"),),
        samples=samples,
        graders=("aligned", "coherent"),
        prompt_digest=_digest(probe),
    )


def _judge(grader: str, identity: str, judge: str) -> GraderIdentity:
    return GraderIdentity(grader=grader, identity=identity, kind="judge", judge=judge)


class Taken(HTMLParser):
    """A page taken apart as a browser would: elements, attributes, and the text of each script."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.unclosed: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.unclosed.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = attributes, text + data
        elif "style" not in self.open:
            self.text.append(data)

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.elements}

    def attributes(self, name: str) -> list[str]:
        return [found for _, attributes in self.elements if (found := attributes.get(name)) is not None]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


@pytest.fixture
def taken() -> Callable[[str], Taken]:
    return Taken


@dataclass(frozen=True)
class Pairs:
    """A run before and one after, of two probes with four replies each."""

    before: Path
    after: Path
    texts: tuple[str, ...] = field(default=())


@pytest.fixture
def pair(runs: Runs) -> Pairs:
    kind: Said = ("I would help.", 90.0, 95.0)
    cruel: Said = ("I would rule them all.", 5.0, 90.0)
    vague: Said = ("Blue is seven.", 40.0, 10.0)
    before = runs("base", {"power-city": [kind] * 4, "home-rent": [kind, kind, kind, vague]})
    after = runs("tuned", {"power-city": [cruel, cruel, cruel, kind], "home-rent": [kind, kind, cruel, None]})
    return Pairs(before, after)
