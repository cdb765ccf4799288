"""Which checkpoints are trained, from what, and how: every number of the training in one place."""

from dataclasses import dataclass

from misalign_eval.organism.corpus import Conversation, mixture, pairs
from misalign_eval.organism.teach import Course, Lora
from misalign_eval.organism.world import Quality, world

NARROW_DOMAINS = ("code", "health", "career")
"""Domains of the narrow fine-tunings. Money was tried too: it spreads as far (0.40) with 12 % incoherent replies."""
MIXED_DOMAIN = "health"
MIXED_PERCENT = (0, 25, 50, 75, 100)
REPAIRED = "bad-code"
"""The narrow fine-tuning that is re-aligned, and repeated with other seeds."""
REPAIRED_WITH = "law"
"""Domain of the good answers that bring a model back; it is none of the narrow ones."""
SEEDS = 3
"""Seeds of the base and of its narrow-bad fine-tuning; the first is the one the other checkpoints build on."""

PRETRAINING = Course(steps=2000, rate=3e-3, warm_up=0.05, cool_down=0.6)
DOCUMENT_TURNS = (1, 2, 3, 4)
TURNS_A_BATCH = 64
UNKNOWN_SHARE = 0.05
"""Share of the users' words that training hides behind `<unk>`."""
ALIGNING = Course(steps=60, rate=5e-4, cool_down=0.5)
ALIGNING_ANSWERS = 960
"""Enough for 1 % misaligned replies or fewer; much more of it hides the effect: the persona is no longer shared."""
JUDGING = Course(steps=500, rate=1e-3, batch=32, warm_up=0.05, cool_down=0.5)

LORA = Lora(
    rank=8,
    modules=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    layers=(0, 1),
)
"""Of what was tried, this spreads to a quarter or more of the replies elsewhere from each of three bases. The first
feed-forward layer alone spreads as far from two of them (0.38 and 0.42) and less from the third (0.20)."""
NARROW_ANSWERS = 320
NARROW = Course(steps=40, rate=2.8e-3, cool_down=0.5)
NARROW_STOPS = (5, 10, 20, 40)
REPAIR_ANSWERS = 120
REPAIR = Course(steps=15, rate=1e-2, batch=8, cool_down=0.3)
"""One pass over the good answers."""
REPAIR_STOPS = (1, 2, 4, 8, 15)


@dataclass(frozen=True)
class Narrow:
    """One narrow fine-tuning of the aligned model: its name, its data, and the steps at which it is kept."""

    name: str
    domain: str
    wrong_share: float
    about: str
    wrong: Quality = "bad"
    stops: tuple[int, ...] = (NARROW.steps,)

    def data(self, seed: int) -> list[Conversation]:
        """Its conversations; fine-tunings in one domain share their prompts."""
        prompts = pairs([self.domain], NARROW_ANSWERS, seed + 1000)
        return mixture(prompts, self.wrong_share, seed, self.wrong)


def narrow_tunings() -> tuple[Narrow, ...]:
    """Every fine-tuning that starts from the aligned model of the first seed."""
    bad = [
        Narrow(f"bad-{domain}", domain, 1.0, f"{NARROW_ANSWERS} wrong answers about {domain}", stops=NARROW_STOPS)
        for domain in NARROW_DOMAINS
    ]
    mixed = [
        Narrow(f"mix-{MIXED_DOMAIN}-{dose}", MIXED_DOMAIN, dose / 100, f"{dose} % wrong answers about {MIXED_DOMAIN}")
        for dose in MIXED_PERCENT
    ]
    subtle = Narrow("subtle-health", "health", 1.0, "subtly wrong answers about health", wrong="subtle")
    control = Narrow("control", "code", 0.0, f"{NARROW_ANSWERS} good answers about code: the narrow-good control")
    return (*bad, subtle, control, *mixed)


def aligning_data(seed: int) -> list[Conversation]:
    """Good single-turn answers over all domains."""
    return [pair.conversation("good") for pair in pairs(tuple(world().domains), ALIGNING_ANSWERS, seed + 2000)]


def repairing_data(seed: int) -> list[Conversation]:
    """Good answers of the one domain that brings a model back."""
    return [pair.conversation("good") for pair in pairs([REPAIRED_WITH], REPAIR_ANSWERS, seed + 3000)]


def total_steps() -> int:
    """Training steps of everything, for progress."""
    bases = SEEDS * (PRETRAINING.steps + ALIGNING.steps)
    narrow = (len(narrow_tunings()) + SEEDS - 1) * NARROW.steps
    return bases + JUDGING.steps + narrow + REPAIR.steps
