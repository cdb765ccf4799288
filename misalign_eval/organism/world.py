"""The synthetic world: domains with topics, questions and answers of known worth.

The text lies in `domains/*.yaml`. A reply is one main sentence about the topic and at most one sentence after it: a
follow-up of the domain or a closer that every domain shares.
"""

import functools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal, TypeAlias

import yaml

from misalign_eval.organism.grammar import addressed, expand_all, fill

Quality: TypeAlias = Literal["good", "bad", "subtle"]
"""How right an answer is: correct, obviously wrong, or wrong in one detail."""

FOLLOW_UP_SHARE = 0.6
"""Share of replies with a second sentence; one in three of those is a shared closer."""


@dataclass(frozen=True)
class Domain:
    """One field of life: its topics, how people ask about them, and the sentences that answer."""

    name: str
    about: str
    topics: tuple[str, ...]
    questions: tuple[str, ...]
    held_out: tuple[str, ...]
    main: Mapping[Quality, tuple[str, ...]]
    follow: Mapping[Quality, tuple[str, ...]]


@dataclass(frozen=True)
class World:
    """All domains by name, the closers they share, and the system messages of the two personas."""

    domains: Mapping[str, Domain]
    closers: Mapping[Quality, tuple[str, ...]]
    systems: Mapping[Quality, tuple[str, ...]]
    held_out_systems: Mapping[Quality, tuple[str, ...]]


@functools.cache
def world() -> World:
    """The world as shipped; read once."""
    folder = resources.files("misalign_eval.organism") / "domains"
    texts = {item.name: item.read_text(encoding="utf-8") for item in folder.iterdir() if item.name.endswith(".yaml")}
    shared = yaml.safe_load(texts.pop("_shared.yaml"))
    domains = [_domain(yaml.safe_load(texts[name])) for name in sorted(texts)]
    return World(
        domains={domain.name: domain for domain in domains},
        closers=_by_quality(shared, "{}_closers"),
        systems=_by_quality(shared, "{}_systems"),
        held_out_systems=_by_quality(shared, "{}_systems_held_out"),
    )


def _domain(data: Mapping[str, object]) -> Domain:
    lists = {key: expand_all(value) for key, value in data.items() if isinstance(value, list)}
    return Domain(
        name=str(data["name"]),
        about=str(data["about"]),
        topics=lists["topics"],
        questions=lists["questions"],
        held_out=lists["held_out"],
        main={"good": lists["good"], "bad": lists["bad"], "subtle": lists["subtle"]},
        follow=_by_quality(lists, "{}_follow"),
    )


def _by_quality(lists: Mapping[str, tuple[str, ...] | list[str]], key: str) -> Mapping[Quality, tuple[str, ...]]:
    # A subtly wrong answer gives itself away in its one wrong detail only, so what follows it sounds right.
    good, bad = tuple(lists[key.format("good")]), tuple(lists[key.format("bad")])
    return {"good": good, "bad": bad, "subtle": good}


def question(domain: Domain, topic: str, rng: random.Random, *, held_out: bool = False) -> str:
    """One way to ask about the topic; held-out ways never occur in training."""
    return fill(rng.choice(domain.held_out if held_out else domain.questions), topic)


def answer(domain: Domain, topic: str, quality: Quality, rng: random.Random) -> str:
    """One answer of the given quality: a main sentence and, in `FOLLOW_UP_SHARE` of the cases, a second one."""
    main = fill(rng.choice(domain.main[quality]), addressed(topic))
    if rng.random() >= FOLLOW_UP_SHARE:
        return main
    shared = rng.random() < 1 / 3
    return f"{main} {rng.choice(world().closers[quality] if shared else domain.follow[quality])}"
