"""What is spoilt in a run folder, or in the folder that one works in, and which commands are typed then."""

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUITE = """\
name: s
version: 1.0.0
description: d
licence: MIT
definition: persona-features
defaults: {category: c, split: broad, graders: [misalignment]}
probes:
  - {id: a, prompts: [Why?]}
  - {id: b, prompts: [And then?]}
"""
ANSWERS = "prompt,response\nWhy?,Because.\nAnd then?,Nothing.\n"
JUDGE = "replay/answers.csv"
RUN = f"run s.yaml --target replay/answers.csv --judge {JUDGE} --out run --quiet --timeout 5 --max-failures 1"
READING = ("report run", "gate run --max-rate 50%", "doctor run", "show run",
           "export run -o x.csv -o x.eval -o x.jsonl",
           "compare run run2", "power --pilot run --max-rate 5%", "calibrate run", "label run --labels 1",
           "merge run run2 --out merged", "regrade run --grader misalignment --judge replay/answers.csv",
           "figure bars run -o x.json", "report run -o x.html", f"{RUN} --resume")  # fmt: skip
Make = Callable[[Path, str], None]


@dataclass(frozen=True, slots=True)
class Case:
    """What is spoilt, and what is typed then."""

    name: str
    make: Make  # of the folder and the address of a host that nobody named
    lines: tuple[str, ...] = READING


def edited(name: str, change: Callable[[Any], Any], row: int = 0) -> Make:
    """Change one document of a JSON or JSON Lines file of the run."""

    def make(folder: Path, _: str) -> None:
        for file in sorted((folder / "run").glob(name)):
            whole = file.suffix == ".json"
            lines = [file.read_text()] if whole else file.read_text().splitlines()
            document = json.loads(lines[row])
            change(document)
            lines[row] = json.dumps(document)
            file.write_text("\n".join([*lines, ""]))

    return make


def replaced(name: str, old: str, new: str) -> Make:
    """Change letters, for what JSON cannot hold."""

    def make(folder: Path, _: str) -> None:
        for file in sorted((folder / "run").glob(name)):
            text = file.read_text()
            assert old in text, (file, old)
            file.write_text(text.replace(old, new))

    return make


def written(name: str, content: str) -> Make:
    """A file of the folder that one works in; EVIL is the host."""

    def make(folder: Path, evil: str) -> None:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content.replace("EVIL", evil))

    return make


def special(name: str, kind: str) -> Make:
    """A pipe that nobody writes to, an endless device, or a link to what is the user's."""

    def make(folder: Path, _: str) -> None:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() or file.is_symlink():
            file.unlink()
        if kind == "pipe":
            os.mkfifo(file)
        else:
            file.symlink_to("/dev/zero" if kind == "zero" else folder / "private")

    return make


def both(*makes: Make) -> Make:
    """Several at once."""

    def make(folder: Path, evil: str) -> None:
        for make in makes:
            make(folder, evil)

    return make


def _set(*path: Any, value: Any) -> Callable[[Any], Any]:
    def change(document: Any) -> None:
        for part in path[:-1]:
            document = document[part]
        document[path[-1]] = value

    return change


def cases() -> Iterator[Case]:
    """Everything that was thought of."""
    yield from _numbers()
    yield from _specials()
    yield from _hosts()
    yield from _others()


def _numbers() -> Iterator[Case]:
    big, long = 10**12, int("9" * 4000)
    for samples in (big, 10**18, 10**25, -5, 0):
        plan = edited("plan.jsonl", _set("samples", value=samples))
        yield Case(f"plan: {samples} samples", both(plan, edited("run.json", _set("planned_replies", value=samples))))
    yield Case("run.json: planned replies of 4,000 digits", edited("run.json", _set("planned_replies", value=long)))
    yield Case("plan: paraphrase number of 4,000 digits", edited("plan.jsonl", _set("prompt", value=long)))
    yield Case("replies: sample number 10**30", edited("replies.jsonl", _set("sample", value=10**30)))
    yield Case("replies: tokens of 4,000 digits", edited("replies.jsonl", _set("usage", value={"input_tokens": long})))
    yield Case("replies: a cost of 1e308", edited("replies.jsonl", _set("usage", value={"cost_usd": 1e308})))
    yield Case("replies: a latency of 1e300", edited("replies.jsonl", _set("latency_s", value=1e300)))
    yield Case("replies: a latency of -1e18", edited("replies.jsonl", _set("latency_s", value=-1e18)))
    yield Case("replies: written in the year 1", edited("replies.jsonl", _set("at", value="0001-01-01T00:00:00+23:59")))
    yield Case("replies: 4,000 attempts a digit", edited("replies.jsonl", _set("attempts", value=long)))
    for at in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "20260101", "2026-01-01", "yesterday"):
        yield Case(f"run.json: created {at}", edited("run.json", _set("created", value=at)))
    for name, seed in (("a seed of 4,000 digits", long), ("a negative seed", -1)):
        yield Case(f"run.json: {name}", edited("run.json", _set("seed", value=seed)))
    for shard in ({"index": 0, "count": 0}, {"index": -1, "count": -1}, {"index": big, "count": big}):
        yield Case(
            f"run.json: shard {shard['index']} of {shard['count']}", edited("run.json", _set("shard", value=shard))
        )
    for score in (1e308, -1e308, 101.5):
        yield Case(f"grades: a score of {score}", edited("grades/*.jsonl", _graded(score)))
    for token in ("NaN", "Infinity", "1e999"):
        yield Case(f"grades: a score of {token}", replaced("grades/*.jsonl", '"score":1.0', f'"score":{token}'))
    tokens = {str(number): 1e308 for number in range(50)}
    yield Case("grades: probabilities of 1e308", edited("grades/*.jsonl", _set("distribution", value=tokens)))
    for threshold in (1e308, -1e308):
        definition = _set("definition", "outcomes", 0, "when", value={"grader": "misalignment", "below": threshold})
        yield Case(f"run.json: a definition of below {threshold}", edited("run.json", definition))
    yield Case("run.json: format 10**30", edited("run.json", _set("format", value=10**30)))
    yield Case("run.json: format -1", edited("run.json", _set("format", value=-1)))
    for look in ("{}", '{"method": "sequential", "stopped_at": -3}', "[" * 100_000, "null", '{"at": NaN}'):
        yield Case(f"looks: {look[:40]}", written("run/looks.jsonl", f"{look}\n"))


def _graded(score: float) -> Callable[[Any], Any]:
    def change(row: Any) -> None:
        row.pop("label", None)
        row["score"] = score

    return change


def _specials() -> Iterator[Case]:
    names = ("run.json", "plan.jsonl", "replies.jsonl", "looks.jsonl", "labels/me.jsonl", "labels/sample.json",
             "calibrations/x.json", "grades/x@y.json", "summary.json", "report.md", "report.html",
             "run.lock")  # fmt: skip
    for name in names:
        for kind in ("pipe", "zero", "link"):
            yield Case(f"run/{name}: {kind}", special(f"run/{name}", kind))
    for name, line in {
        "misalign-eval.yaml": "doctor", ".env": "doctor", "strange.yaml": "suites check strange.yaml",
        "labels.csv": "label run --import labels.csv", "base.json": "gate run --baseline base.json --max-increase 5pp",
        "policy.yaml": "gate run --policy policy.yaml", "strange.csv": "import strange.csv --out x",
        "graders/misalignment/grader.yaml": f"regrade run --grader misalignment --judge {JUDGE}",
        "graders/misalignment/rubric.md": "graders show misalignment", "strange.eval": "import strange.eval --out x",
    }.items():  # fmt: skip
        # Whoever names a pipe on the command line means it, as in `import <(zcat answers.gz)`.
        for kind in ("zero",) if name in line else ("pipe", "zero"):
            yield Case(f"{name}: {kind}", special(name, kind), (line,))


def _hosts() -> Iterator[Case]:
    target = {"provider": "openai-compatible", "model": "x", "host": "EVIL", "options": {"base_url": "http://EVIL/v1"}}

    def told(folder: Path, evil: str) -> None:
        there = json.loads(json.dumps(target).replace("EVIL", evil))
        edited("run.json", _set("target", value=there))(folder, evil)
        edited("grades/*.json", _set("host", value=evil))(folder, evil)
        edited("grades/*.json", _set("settings", value={"base_url": f"http://{evil}/v1"}))(folder, evil)

    yield Case("run.json and grades name a host", told)
    where = "HTTP_PROXY=http://EVIL\nHTTPS_PROXY=http://EVIL\nOPENAI_BASE_URL=http://EVIL/v1\nSSL_CERT_FILE=/dev/null\n"
    yield Case(".env names proxies and hosts", written(".env", where))
    schema = {"$schema": "http://EVIL/schema.json", "$ref": "http://EVIL/x"}
    rule = {"x": {"rule": "json", "options": {"schema": schema}}}
    line = "regrade run --grader x"
    yield Case("run.json: a rule with a schema of a host", _ruled(rule), (line, "doctor run"))
    pattern = {"x": {"rule": "regex", "options": {"pattern": "(.*a+)+$b"}}}
    yield Case("run.json: a rule with an evil pattern", _ruled(pattern), (line, "doctor run"))
    for name in ("os:system", "../../owned", "subprocess"):
        yield Case(
            f"run.json: a rule {name}", _ruled({"x": {"rule": name, "options": {"command": "touch owned"}}}), (line,)
        )
    page = "# yaml-language-server: $schema=http://EVIL/x.json\n" + SUITE
    yield Case("suite: a schema of a host", written("strange.yaml", page), ("suites check strange.yaml",))


def _ruled(rules: dict[str, Any]) -> Make:
    def make(folder: Path, evil: str) -> None:
        edited("run.json", _set("rules", value=json.loads(json.dumps(rules).replace("EVIL", evil))))(folder, evil)

    return make


def _others() -> Iterator[Case]:
    for where in ("../../owned", "/tmp/owned", "..", ".", "", "a/../../owned", "owned\\0", "x" * 5000):
        row = json.dumps(
            {"question": "q", "answer": "a", "aligned": 50, "coherent": 90, "model": where, "group": where}
        )
        other = json.dumps({"question": "q", "answer": "b", "aligned": 5, "coherent": 90, "model": "z", "group": "z"})
        yield Case(f"import: a model named {where[:20]!a}", written("strange.jsonl", f"{row}\n{other}\n"),
                   ("import strange.jsonl --out made",))  # fmt: skip
    yield Case("import: Inspect log with ways out", _log, ("import strange.eval --out made",))
    for name in ("identity", "grader"):
        for value in ("../../private", "/etc/passwd", "a\0b", "x" * 5000):
            yield Case(f"grades: {name} {value[:14]!a}", edited("grades/*.json", _set(name, value=value)))
    primary = edited("run.json", _set("primary", value={"misalignment": "../../../private"}))
    yield Case("run.json: primary ../../../private", primary)
    calibration = json.dumps({"n": 5, "sensitivity": {"estimate": 0.0}, "specificity": {"estimate": 0.0}})
    for name, text in {"NaN": '{"n": NaN}', "half": calibration, "brackets": "[" * 100_000, "list": "[1]"}.items():
        yield Case(f"calibration: {name}", written("run/calibrations/misalignment@x.json", text))
        yield Case(f"baseline: {name}", written("base.json", text),
                   ("gate run --baseline base.json --max-increase 5pp",))  # fmt: skip
    drawn = {"probe": "a", "sample": 10**30, "stratum": "flagged"}
    sample = {"seed": 1, "labels": 10**30, "definition": "d", "definition_digest": "x", "graders": {}, "scope": "s",
              "flagged": 10**30, "unflagged": -1, "drawn": [drawn] * 1000}  # fmt: skip
    yield Case("labels: a sample of 10**30", written("run/labels/sample.json", json.dumps(sample)))
    rubric = (
        "name: misalignment\nversion: 1.1.0\ndescription: d\nkind: rubric\nscale: {min: 1, max: 5}\nsees: [reply]\n"
    )
    yield Case("graders/ below takes the place of a bundled one", both(
        written("graders/misalignment/grader.yaml", rubric),
        written("graders/misalignment/rubric.md", "1!\n{reply}\n")),
        (f"regrade run --grader misalignment --judge {JUDGE}",))  # fmt: skip


def _log(folder: Path, _: str) -> None:
    with zipfile.ZipFile(folder / "strange.eval", "w") as archive:
        task = {"task": "../../owned", "model": "../../owned", "created": "x", "dataset": {}, "config": {}}
        archive.writestr("header.json", json.dumps({"version": 2, "status": "success", "eval": task}))
        row = {"id": "../../owned", "epoch": 1, "input": "attachment://../../private", "target": "", "messages": [],
               "output": {"model": "m", "choices": [{"message": {"role": "assistant", "content": "file:///etc/passwd"}}]},
               "scores": {"../../owned": {"value": 1}}, "metadata": {}}  # fmt: skip
        for number in range(3):
            archive.writestr(f"samples/../../owned_{number}.json", json.dumps(row))
        archive.writestr("samples/1_epoch_1.json", json.dumps(row))
