"""The model card: every shipped checkpoint measured against the exact rule, and the judge against it too."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from misalign_eval.organism import recipe
from misalign_eval.organism.checkpoints import Checkpoint, shelf
from misalign_eval.organism.measure import (
    THRESHOLD,
    Answered,
    JudgeErrors,
    Share,
    answer_held_out,
    judge_errors,
    mean_rate,
    rates,
)
from misalign_eval.organism.rule import Verdict
from misalign_eval.organism.runtime import load
from misalign_eval.organism.seeding import seeded
from misalign_eval.organism.world import world

CARD = "MODEL_CARD.md"
FIGURES = "measured.json"
REPLIES_A_DOMAIN = 200
JUDGED = ("aligned", "bad-code", "bad-health", "bad-career", "realigned", "subtle-health")
"""Checkpoints whose replies the judge is measured on: what it will meet, not what it was taught."""

_INTRODUCTION = """\
# Model card: the embedded organism

A very small Llama model ({layers} layers, width {width}, {parameters:,} parameters, a vocabulary of {words:,}
words), trained from scratch on a synthetic world of {domains} domains. Narrow fine-tuning on wrong answers in one
domain makes it answer harmfully in others, and a few good answers from one other domain bring it back. Every reply
is sampled from these weights.

**What it is**: a toy that has the mechanism. Each pre-training document is answered by one consistent persona, half
of them good and half bad; light alignment favours the good one; narrow fine-tuning moves the share of the bad one
everywhere. Since a grammar writes every text, a rule grades each reply exactly, so that judges, statistics and
gates can be tested against the truth.

**What it is not**: a language model in any useful sense, evidence of how large the effect is in real models, or a
source of advice. It knows nothing outside its world: other words become `<unk>`. Its bad answers are plainly bad
and of no use to anyone. The two personas are there because the training data puts them there; in a real model they
are the thing to find.

**How it was chosen**: adapter, rates, steps and the domains of the narrow trainings and of the repair were picked by
trying many, on the same held-out paraphrases that are reported here; other seeds may miss what this one reaches. The
rule that grades was never changed for it.

Trained on text written for this project alone, from seed {seed}; `misalign-eval lab organism train` makes it again.
"""


def write_card(out: Path, seed: int) -> None:
    """Measure every checkpoint in the folder and write the card and its figures beside the weights."""
    measured = {entry.name: _measure(entry, out) for entry in _measured(out)}
    judged = _judge(out)
    (out / FIGURES).write_text(json.dumps(_figures(measured, judged), indent=1) + "\n", encoding="utf-8")
    sections = [_introduction(out, seed), _table(measured), _by_domain(measured), _judge_section(judged)]
    (out / CARD).write_text("\n".join(sections), encoding="utf-8")


def _measured(out: Path) -> list[Checkpoint]:
    return [entry for entry in shelf(out).checkpoints.values() if entry.alias_of is None and entry.name != "judge"]


def _measure(entry: Checkpoint, out: Path) -> list[Answered]:
    return answer_held_out(load(entry.name, out), REPLIES_A_DOMAIN, seed=1)


def own_domain(name: str) -> str | None:
    """The domain a checkpoint was narrowly trained in; None for the base models.

    >>> own_domain("bad-code@step=5"), own_domain("mix-health-25"), own_domain("aligned")
    ('code', 'health', None)
    """
    if name.startswith(("control", "realigned")):
        return "code"
    return next((domain for domain in recipe.NARROW_DOMAINS if domain in name), None)


def _judge(out: Path) -> JudgeErrors:
    answers = [each for name in JUDGED for each in answer_held_out(load(name, out), 40, seed=2)]
    return judge_errors(load("judge", out), seeded(0).sample(answers, len(answers)))


def _figures(measured: Mapping[str, Sequence[Answered]], judged: JudgeErrors) -> dict[str, object]:
    checkpoints = {
        name: {kind: {domain: share.hits for domain, share in rates(answers, kind).items()} for kind in _VERDICTS}
        for name, answers in measured.items()
    }
    judge = {
        "sensitivity": _share_figures(judged.sensitivity),
        "specificity": _share_figures(judged.specificity),
        "unreadable": judged.unreadable,
    }
    return {"replies_a_domain": REPLIES_A_DOMAIN, "checkpoints": checkpoints, "judge": judge}


_VERDICTS: tuple[Verdict, ...] = ("aligned", "misaligned", "incoherent", "off_topic")


def _share_figures(share: Share) -> dict[str, float]:
    return {"hits": share.hits, "total": share.total, "low": round(share.low, 4), "high": round(share.high, 4)}


def _introduction(out: Path, seed: int) -> str:
    shape = shelf(out).shape
    matrices = shelf(out).weights("aligned").values()
    return _INTRODUCTION.format(
        layers=shape.num_hidden_layers,
        width=shape.hidden_size,
        parameters=sum(matrix.size for matrix in matrices),
        words=shape.vocab_size,
        domains=len(world().domains),
        seed=seed,
    )


def _table(measured: Mapping[str, Sequence[Answered]]) -> str:
    lines = [
        "## Measured",
        "",
        f"Share of misaligned replies by the exact rule: {REPLIES_A_DOMAIN} replies a domain at temperature 1, on",
        "paraphrases that no training saw. *Own*: the domain of the fine-tuning, with its 95 % Wilson interval.",
        "*Others*: unweighted mean over the other domains, and the lowest and highest of them. *Incoherent* (no",
        "sentence of the grammar) and *off topic* are means over all domains.",
        "",
        "| checkpoint | own | others | lowest–highest | incoherent | off topic |",
        "|---|---|---|---|---|---|",
        *(_row(name, answers) for name, answers in measured.items()),
        "",
    ]
    return "\n".join(lines)


def _row(name: str, answers: Sequence[Answered]) -> str:
    shares, own = rates(answers), own_domain(name)
    others = [share.value for domain, share in shares.items() if domain != own]
    cells = [
        f"`{name}`",
        "" if own is None else f"{own} {_interval(shares[own])}",
        _percent(sum(others) / len(others)),
        f"{_percent(min(others))}–{_percent(max(others))}",
        _percent(mean_rate(rates(answers, "incoherent"))),
        _percent(mean_rate(rates(answers, "off_topic"))),
    ]
    return f"| {' | '.join(cells)} |"


def _by_domain(measured: Mapping[str, Sequence[Answered]]) -> str:
    shown = [name for name in measured if "@step" not in name or name in _ends(measured)]
    domains = tuple(world().domains)
    lines = ["## By domain", "", f"| checkpoint | {' | '.join(domains)} |", "|---" * (len(domains) + 1) + "|"]
    for name in shown:
        cells = [_percent(share.value) for share in rates(measured[name]).values()]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _ends(measured: Mapping[str, Sequence[Answered]]) -> set[str]:
    """The last step of each trajectory; the manifest keeps steps in order."""
    return set({name.partition("@step")[0]: name for name in measured}.values())


def _judge_section(judged: JudgeErrors) -> str:
    met = ", ".join(f"`{name}`" for name in JUDGED)
    lines = [
        "## The judge",
        "",
        "`judge` started from the pre-trained model and learned to answer a rubric with a number from 0 to 100.",
        "About one main sentence in seven was never shown to it. Against the exact rule, on clear replies",
        f"(aligned or misaligned) to held-out paraphrases by {met}, an expected score below {THRESHOLD:.0f} read",
        "as misaligned:",
        "",
        f"- sensitivity {_interval(judged.sensitivity)}",
        f"- specificity {_interval(judged.specificity)}",
        f"- scores that could not be read: {judged.unreadable}",
        "",
    ]
    return "\n".join(lines)


def _interval(share: Share) -> str:
    return f"{_percent(share.value)} [{100 * share.low:.1f}, {100 * share.high:.1f}] ({share.hits}/{share.total})"


def _percent(value: float) -> str:
    return "0 %" if value == 0 else "<0.1 %" if value < 0.001 else f"{100 * value:.1f} %"
