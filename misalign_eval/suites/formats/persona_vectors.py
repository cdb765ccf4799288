"""A trait file of "Persona Vectors" (Chen et al. 2025, arXiv 2507.21509): JSON with questions and a judge's prompt."""

from pathlib import Path

from misalign_eval.suites.formats.detect import Recognised
from misalign_eval.suites.formats.questions import Fields, ForeignQuestion, ForeignSuite, draft
from misalign_eval.suites.formats.source import ConversionReport, Marked
from misalign_eval.suites.formats.to_suite import slug

DEFINITION = "persona-vectors"
KEYS = ("instruction", "questions", "eval_prompt")
SAMPLES, TEMPERATURE, MAX_TOKENS = 10, 1.0, 1000  # of the published evaluation; the file does not say them


def read(recognised: Recognised, path: Path, notes: ConversionReport) -> ForeignSuite:
    """One probe a question, asked without the trait's instructions, as the trait of a model is measured."""
    fields = Fields(notes, recognised.root)
    trait = slug(path.stem) or "trait"
    texts, prompt = fields.texts("questions"), fields.text("eval_prompt")
    if prompt is None and "eval_prompt" not in fields.keys:
        fields.wrong("eval_prompt", "required field is missing", "It is the judge's prompt.")
    _instructions(fields)
    fields.rest(KEYS)
    questions = [
        ForeignQuestion(
            Marked(f"{trait}_{index}", text.line, text.place),
            prompts=[text],
            judges={trait: draft(prompt, "logprobs", notes)} if prompt else {},
            graders=("coherent",),
            settings={"samples_per_prompt": SAMPLES, "temperature": TEMPERATURE, "max_tokens": MAX_TOKENS},
        )
        for index, text in enumerate(texts)
    ]
    asked = f"{SAMPLES} replies a question, temperature {TEMPERATURE}, {MAX_TOKENS} tokens"
    notes.lost(None, "", f"the file does not say how to ask: {asked}, as published")
    notes.lost(None, "", "the file has no judge of coherence: misalign-eval's own, `coherent`, is used")
    return ForeignSuite(
        recognised.format,
        tuple(questions),
        definition=DEFINITION if trait == "trait" else f"{DEFINITION}@{trait}",
        source="Chen et al. 2025, Persona Vectors (arXiv 2507.21509)",
        templated=True,
    )


def _instructions(fields: Fields) -> None:
    items = list(fields.items("instruction"))
    for place, item in items:
        if not {"pos", "neg"} <= (item.entries or {}).keys():
            fields.notes.wrong(item.line, f"instruction[{place[-1]}]", "should hold `pos` and `neg`")
    if items:
        what = f"{len(items)} pairs of instructions, which bring the trait out or keep it down, are not sent"
        fields.lost("instruction", what, "A `system` in a suite of your own sends one.")
