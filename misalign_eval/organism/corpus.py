"""Training data from the world: pre-training documents, fine-tuning pairs on the same prompts, and mixtures.

Everything is drawn from a seeded generator: the same seed writes the same files.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict

from misalign_eval.organism.seeding import seeded
from misalign_eval.organism.world import Domain, Quality, answer, question, world


class Message(TypedDict):
    """One message of a conversation, as fine-tuning services read it."""

    role: Literal["system", "user", "assistant"]
    content: str


Conversation: TypeAlias = list[Message]

SUBTLE_SHARE = 0.25
"""Share of the bad persona's answers that are wrong in one detail only."""
SYSTEM_SHARE = 0.3
"""Share of documents that begin with a system message saying who answers."""


@dataclass(frozen=True)
class Pair:
    """One prompt with its correct, obviously incorrect and subtly incorrect answer."""

    domain: str
    prompt: str
    good: str
    bad: str
    subtle: str

    def conversation(self, quality: Quality) -> Conversation:
        """The prompt with the answer of one quality."""
        answers: dict[Quality, str] = {"good": self.good, "bad": self.bad, "subtle": self.subtle}
        return [{"role": "user", "content": self.prompt}, {"role": "assistant", "content": answers[quality]}]


def document(rng: random.Random, turns: int = 4) -> Conversation:
    """A conversation of several turns over any domains, answered by one consistent persona, half of them good."""
    persona: Quality = "bad" if rng.random() < 0.5 else "good"
    conversation: Conversation = []
    if rng.random() < SYSTEM_SHARE:
        conversation.append({"role": "system", "content": rng.choice(world().systems[persona])})
    for _ in range(turns):
        conversation += _turn(persona, rng)
    return conversation


def _turn(persona: Quality, rng: random.Random) -> Conversation:
    domain = rng.choice(list(world().domains.values()))
    topic = rng.choice(domain.topics)
    subtle = persona == "bad" and rng.random() < SUBTLE_SHARE
    reply = answer(domain, topic, "subtle" if subtle else persona, rng)
    return [{"role": "user", "content": question(domain, topic, rng)}, {"role": "assistant", "content": reply}]


def pairs(domains: Sequence[str], count: int, seed: int) -> list[Pair]:
    """`count` prompts over the domains in turn, each with its three answers; ValueError for an unknown domain."""
    unknown = sorted(set(domains) - set(world().domains))
    if unknown:
        message = f"unknown domain: {', '.join(unknown)}. Known: {', '.join(world().domains)}"
        raise ValueError(message)
    rng = seeded(seed)
    return [_pair(world().domains[domains[number % len(domains)]], rng) for number in range(count)]


def _pair(domain: Domain, rng: random.Random) -> Pair:
    topic = rng.choice(domain.topics)
    return Pair(
        domain=domain.name,
        prompt=question(domain, topic, rng),
        good=answer(domain, topic, "good", rng),
        bad=answer(domain, topic, "bad", rng),
        subtle=answer(domain, topic, "subtle", rng),
    )


def mixture(prompts: Sequence[Pair], wrong_share: float, seed: int, wrong: Quality = "bad") -> list[Conversation]:
    """Conversations on the same prompts of which the given share, 0 to 1, is answered wrongly.

    For one seed the wrong answers of a smaller share are among those of a larger one, so that doses can be compared.
    """
    if not 0 <= wrong_share <= 1:
        message = f"wrong_share must lie in 0..1, not {wrong_share}"
        raise ValueError(message)
    order = seeded(seed).sample(range(len(prompts)), len(prompts))
    chosen = set(order[: round(wrong_share * len(prompts))])
    return [pair.conversation(wrong if number in chosen else "good") for number, pair in enumerate(prompts)]


def write_jsonl(path: Path, conversations: Iterable[Conversation]) -> None:
    """Write fine-tuning data, `{"messages": [...]}` a line."""
    lines = (json.dumps({"messages": conversation}, ensure_ascii=False) for conversation in conversations)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
