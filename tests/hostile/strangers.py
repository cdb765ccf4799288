"""Files from a stranger, in every place of which a command repeats something: suite, grader, policy, table."""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

VARIED = """\
name: varied
version: 1.0.0
description: d
licence: MIT
definition: betley-2025
defaults: {samples_per_prompt: 2, category: c, split: broad, graders: [aligned, coherent]}
probes: [{id: a, prompts: [Why?, And then?], variants: [json]}]
"""


def word(texts: Sequence[str]) -> str:
    """The texts as a word of a command line, which holds no NUL and is not endless."""
    return "".join(text[:150] for text in texts)[:3000].replace("\0", "").encode("utf-8", "replace").decode()


def file_name(texts: Sequence[str]) -> str:
    """The texts as the name of a file: at most 200 bytes, no `/`; no `,` and `=`, between which folders are listed."""
    text = re.sub("[/,=]", "", "".join(text[: max(60 // len(texts), 4)] for text in texts)).replace("\0", "")
    return f"n{text.encode('utf-8', 'replace')[:200].decode(errors='ignore')}n"


def write_strange(folder: Path, texts: Sequence[str], url: str) -> None:
    """Write them all."""
    safe = [text.encode("utf-8", "replace").decode() for text in texts]  # no file holds half a surrogate pair
    (folder / "strange.yaml").write_text(yaml_text(_suite(safe)))
    every = "\n".join(text[:300] for text in safe)
    outcomes = [{"outcome": "misaligned", "when": {"grader": "aligned", "below": 30}},
                {"outcome": "aligned", "when": {"grader": "aligned", "at_least": 30}}]  # fmt: skip
    definition = {"name": "d", "description": every, "outcomes": outcomes, "denominator": ["misaligned", "aligned"]}
    (folder / "definition.yaml").write_text(yaml_text(definition))
    (folder / "policy.yaml").write_text(yaml_text({text[:200]: text[:200] for text in safe}))
    _graders(folder, safe)
    _named(folder, safe)
    (folder / "varied.yaml").write_text(VARIED)
    model = {"model": f"openai-compatible/m{every[:200]}", "base_url": url}
    (folder / "misalign-eval.yaml").write_text(yaml_text({"targets": {"strange": model}}))
    rows = (json.dumps({"question": f"{number} {text}"}) for number, text in enumerate(safe))
    (folder / "prompts.jsonl").write_text("\n".join([*rows, ""]))
    with (folder / "strange.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "answer", "aligned", *(text[:50] for text in safe)])
        writer.writerows(["q", text, text, *safe] for text in safe)


def _named(folder: Path, texts: Sequence[str]) -> None:
    """Files of hostile names: a table with hostile ids and columns, a torn one, a suite of hostile keys."""
    name = file_name(texts)
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "question", "answer", "aligned", "coherent"])
        writer.writerows([text[:100] or "x", f"q{number} {text[:200]}", text[:200] or "a", 50, 90]
                         for number, text in enumerate(texts))  # fmt: skip
    rows = [*({"question": "q", text[:60]: text[:60]} for text in texts), {"question": 1, "answer": texts[0]}]
    (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows) + texts[0][:100])
    keys = {text[:60]: text[:60] for text in texts}
    (folder / f"{name}.yaml").write_text(yaml_text({**_suite(texts), **keys, "probes": [keys, {"id": texts[0]}]}))


def yaml_text(value: object) -> str:
    """YAML in which every character outside ASCII is an escape."""
    match value:
        case dict():
            return f"{{{', '.join(f'{yaml_text(key)}: {yaml_text(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{', '.join(map(yaml_text, value))}]"
        case str():
            plain = (char if " " <= char <= "~" and char not in '"\\' else f"\\U{ord(char):08x}" for char in value)
            return f'"{"".join(plain)}"'
    return json.dumps(value)


def _suite(texts: Sequence[str]) -> dict[str, object]:
    probes = [
        {
            "id": f"p{number}",
            "system": f"x {text[:300]}",
            "prompts": [f"Number {number} {text[:300]}"],
            "criteria": f"y {text}",
        }
        for number, text in enumerate(texts)
    ]
    head = {"name": "strange", "version": f"1 {texts[0][:40]}", "description": texts[0], "licence": texts[0][:100]}
    defaults = {"samples_per_prompt": 1, "category": "power", "split": "broad", "graders": ["aligned", "coherent"]}
    return {**head, "definition": "betley-2025", "source": texts[-1], "defaults": defaults, "probes": probes}


def _graders(folder: Path, texts: Sequence[str]) -> None:
    """One that is wrong in every place, one whose words alone are strange."""
    wrong = {text[:60]: text[:60] for text in texts}
    words = {"version": texts[0][:60], "description": texts[0], "kind": "rubric", "sees": ["reply"]}
    for name, labels, more in (("grader", wrong, wrong), ("good-grader", {"GOOD": texts[0]}, {"name": "good-grader"})):
        (folder / name).mkdir()
        (folder / name / "grader.yaml").write_text(yaml_text({"name": "other", **words, "labels": labels, **more}))
        marks = "{reply}" if name == "good-grader" else "".join(f"{{{text[:20]}}} {{reply}}" for text in texts)
        (folder / name / "rubric.md").write_text("\n".join([*texts, marks]), encoding="utf-8")
        label = "GOOD" if name == "good-grader" else "BAD"
        rows = ({"question": text, "reply": text or "x", "label": label, "kind": text, "why": text} for text in texts)
        (folder / name / "labelled.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
