"""A reply to grade, and a judge that says what a test tells it to."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import pytest

from misalign_eval.errors import MisalignEvalError
from misalign_eval.graders import folder as grader_folder
from misalign_eval.graders.folder import GraderFolder, GraderSpec
from misalign_eval.records.grade import Subject
from misalign_eval.records.protocols import Capabilities, Choice, JudgeHandle, ModelRequest, ModelSpec, Response, Token
from misalign_eval.records.run import Finish, Usage

Said = str | Choice | Response | MisalignEvalError


class CannedJudge:
    """Answers with what it was given, in order, and again with the last of it; remembers what it was asked."""

    def __init__(self, said: Iterable[Said], capabilities: Capabilities, name: str) -> None:
        self.said = list(said)
        self.asked: list[ModelRequest] = []
        provider, _, model = name.partition("/")
        spec = ModelSpec(provider, model)
        self.handle = JudgeHandle(spec, "judge.test:443", lambda: capabilities, self.ask)

    async def ask(self, request: ModelRequest) -> Response:
        said = self.said[min(len(self.asked), len(self.said) - 1)]
        self.asked.append(request)
        match said:
            case MisalignEvalError():
                raise said
            case Response():
                return said
            case Choice():
                return Response((said,), Usage(input_tokens=10, output_tokens=1))
            case str():
                return Response((Choice(said, "stop"),), Usage(input_tokens=10, output_tokens=1), request_id="req-1")


class MakeSubject(Protocol):
    def __call__(self, reply: str = ..., **fields: Any) -> Subject: ...


class MakeJudge(Protocol):
    def __call__(self, *said: Said, name: str = ..., **capabilities: bool) -> CannedJudge: ...


class MakeFolder(Protocol):
    def __call__(self, kind: str, **fields: Any) -> GraderFolder: ...


@pytest.fixture
def make_subject() -> MakeSubject:
    def make(reply: str = "a reply", **fields: Any) -> Subject:
        about = {"probe": "p", "prompt": 0, "variant": "plain", "sample": 0, "question": "a question"}
        return Subject.model_validate({**about, "reply": reply, **fields})

    return make


@pytest.fixture
def make_judge() -> MakeJudge:
    def make(*said: Said, name: str = "openai/judge-1", **capabilities: bool) -> CannedJudge:
        return CannedJudge(said, Capabilities(**capabilities), name)

    return make


@pytest.fixture
def make_folder() -> MakeFolder:
    """A grader that exists in memory only; 0 to 100 with the labels CODE and REFUSAL unless told otherwise."""

    def make(kind: str, **fields: Any) -> GraderFolder:
        about = {
            "name": "test",
            "version": "1.0.0",
            "description": "for a test",
            "kind": kind,
            "scale": {"min": 0, "max": 100},
            "labels": {"CODE": "code", "REFUSAL": "refusal"},
            "sees": ["question", "reply"],
        }
        return GraderFolder(_spec({**about, **fields}), "Q:\n{question}\nR:\n{reply}\nRate.\n", Path("test"))

    return make


def _spec(about: Mapping[str, Any]) -> GraderSpec:
    import json

    return GraderSpec.model_validate_json(json.dumps(about))


@pytest.fixture
def first_token() -> Callable[..., Choice]:
    """A judge's answer of one token with these probabilities; the most likely one is sampled unless told otherwise."""
    import math

    def make(probabilities: Mapping[str, float], sampled: str | None = None, finish: Finish = "length") -> Choice:
        logprobs = {token: math.log(p) if p > 0 else -math.inf for token, p in probabilities.items()}
        text = sampled if sampled is not None else max(logprobs, key=lambda token: logprobs[token])
        return Choice(text, finish, tokens=(Token(text, logprobs.get(text, -9.0), logprobs),))

    return make


@pytest.fixture
def bundled() -> Callable[[str], GraderFolder]:
    return lambda name: grader_folder.load(grader_folder.find(name))
