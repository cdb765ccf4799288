"""A run in the words of an Inspect log (version 2): https://inspect.aisi.org.uk/eval-logs.html.

A sample is one planned reply that has a row: its id is probe/prompt/variant, its epoch the sample number from 1. Scores
are `misaligned` (1 or 0 by the definition), `outcome`, and every grader's. What has no value is unscored as Inspect
writes it: NaN, with the reason.
"""

from datetime import datetime

from misalign_eval.exports.inspect_sample import MISALIGNED, OUTCOME, SETTINGS, Json, sample_id
from misalign_eval.exports.item import About
from misalign_eval.records.digest import digest
from misalign_eval.records.grade import GraderIdentity

VERSION = 2


def header(about: About) -> Json:
    """All of the log but its samples."""
    return {
        "version": VERSION,
        "status": "success" if about.is_complete else "cancelled",
        "eval": _spec(about),
        "plan": {
            "name": "plan",
            "steps": [{"solver": "misalign_eval", "params": {}, "params_passed": {}}],
            "config": {},
        },
        "results": _results(about),
        "stats": {
            "started_at": _time(about.manifest.created),
            "completed_at": _ended(about),
            "model_usage": {},
            "role_usage": {},
        },
    }


def start(about: About) -> Json:
    """What Inspect writes when an evaluation begins."""
    whole = header(about)
    return {name: whole[name] for name in ("version", "eval", "plan")}


def _spec(about: About) -> Json:
    run = about.manifest
    ids = [sample_id(one.probe, one.prompt, one.variant) for one in about.plan]
    name = digest([run.name, run.created, run.suite_digest])
    return {
        "eval_id": name,
        "run_id": name,
        "created": _time(run.created),
        "task": run.suite,
        "task_id": run.suite_digest,
        "task_version": run.suite_version,
        "task_display_name": run.suite,
        "task_attribs": {},
        "task_args": {},
        "task_args_passed": {},
        "dataset": {"name": run.suite, "samples": len(ids), "sample_ids": ids, "shuffled": False},
        "model": run.target.name,
        "model_generate_config": _settings(about),
        "model_args": {},
        "config": {"epochs": max((one.samples for one in about.plan), default=1), "log_samples": True},
        "packages": {"misalign_eval": run.tool_version},
        "metadata": _about_run(about),
        "scorers": [_scorer(name, None) for name in (MISALIGNED, OUTCOME)]
        + [_scorer(name, who) for name, who in about.graders.items()],
    }


def _settings(about: About) -> Json:
    """The sampling settings that every prompt shares."""
    shared: Json = {} if about.manifest.seed is None else {"seed": about.manifest.seed}
    for name in SETTINGS:
        values = {getattr(one.sampling, name) for one in about.plan}
        if len(values) == 1 and None not in values:
            shared[name] = values.pop()
    return shared


def _about_run(about: About) -> Json:
    run = about.manifest
    return {
        "run": run.name,
        "suite_digest": run.suite_digest,
        "definition": about.definition.name,
        "definition_digest": about.summary.definition_digest,
        "judge": about.summary.judge,
        "host": run.target.host,
        "git_commit": run.git_commit,
        "labels": run.labels,
    }


def _scorer(name: str, who: GraderIdentity | None) -> Json:
    about = {} if who is None else {"kind": who.kind, "judge": who.judge, "identity": who.identity}
    return {"name": name, "options": {}, "metrics": [], "metadata": about}


def _results(about: About) -> Json:
    found = about.summary
    values = {"rate" if found.measure == "rate" else "mean": found.rate, "low": found.low, "high": found.high}
    metrics = {
        name: {"name": name, "value": value, "params": {}} for name, value in values.items() if value is not None
    }
    score = {
        "name": MISALIGNED,
        "scorer": MISALIGNED,
        "scored_samples": found.graded,
        "unscored_samples": found.planned - found.graded,
        "params": {},
        "metrics": metrics,
        "metadata": {"averaged": found.averaged, "interval": "95 %, for exactly these probes"},
    }
    return {"total_samples": about.wanted, "completed_samples": about.collected, "scores": [score]}


def _ended(about: About) -> str:
    """When the last row was written; where none says so in a way that can be read, when the run began."""
    try:
        return _time(about.finished or about.manifest.created)
    except ValueError:
        return _time(about.manifest.created)


def _time(text: str) -> str:
    return datetime.fromisoformat(text).isoformat()
