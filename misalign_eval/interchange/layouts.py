"""Results of well-known tools, each by a reader of its own: recognised by their fields, whatever their file's name."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from misalign_eval.interchange.detect_columns import Role
from misalign_eval.interchange.layout_parts import object_of
from misalign_eval.interchange.layout_readers import (
    Entry,
    Read,
    alpaca,
    anthropic_batch,
    deepeval,
    each,
    evals,
    evals_metrics,
    garak,
    garak_hits,
    harmbench,
    harmbench_rows,
    jailbreakbench,
    jailbreakbench_rows,
    langfuse,
    lm_eval,
    lm_eval_metrics,
    mt_bench,
    mt_bench_human,
    mt_bench_pair,
    mt_bench_single,
    of_one_model,
    openai_batch,
    promptfoo,
    pyrit,
)
from misalign_eval.records.findings import Kind


class Layout(NamedTuple):
    """One tool's results."""

    name: str
    fields: frozenset[str]  # that an entry has
    read: Read
    columns: Mapping[str, str]  # ours → theirs, of what is read
    rows: Callable[[Entry], Sequence[object] | None] = lambda _: None  # the entries of a whole JSON document
    more: Callable[[Entry], Sequence[str]] = lambda _: ()  # further fields of an entry that are read
    what: Kind = "answers"
    by: Sequence[Role] = ("question_id",)  # what tells replies apart, of `columns`, where files are joined

    def knows(self, entry: object) -> bool:
        """Whether an entry has all its fields."""
        return isinstance(entry, dict) and self.fields <= entry.keys()

    def takes(self, path: str) -> bool:
        """Whether it reads what stands at a path."""
        read = self.columns.values()
        return any(path == item or path.startswith(f"{item}.") or item.startswith(f"{path}.") for item in read)


def recognised(entries: Sequence[object]) -> Layout | None:
    """The layout of the first entries of a file."""
    return next((layout for layout in LAYOUTS if any(map(layout.knows, entries))), None)


def of_document(document: object) -> tuple[Layout, Sequence[object]] | None:
    """The layout of a JSON document that is no list, and its entries."""
    if not isinstance(document, dict):
        return None
    for layout in LAYOUTS:
        found = layout.rows(document)
        if found and any(map(layout.knows, found)):
            return layout, found
    return None


def _listed(*path: str) -> Callable[[Entry], Sequence[object] | None]:
    """The list at a path of a document, or at the end of it."""

    def find(document: Entry) -> Sequence[object] | None:
        found: object = document
        for step in path:
            found = object_of(found).get(step)
        return found if isinstance(found, list) else None

    return find


def _first_of(*finders: Callable[[Entry], Sequence[object] | None]) -> Callable[[Entry], Sequence[object] | None]:
    return lambda document: next((found for finder in finders if (found := finder(document))), None)


def _all_of(*finders: Callable[[Entry], Sequence[object] | None]) -> Callable[[Entry], Sequence[object] | None]:
    return lambda document: [entry for finder in finders for entry in finder(document) or ()] or None


_MT = {"question_id": "question_id", "sample": "turn", "judge": "judge"}
_BATCH = {"question_id": "custom_id"}
_DEEPEVAL = _all_of(
    *(_listed(name) for name in ("testCases", "test_results", "testResults", "test_cases")),
    *(_listed(name) for name in ("conversationalTestCases", "conversational_test_cases")),
)
LAYOUTS: tuple[Layout, ...] = (
    Layout(
        "lm-eval samples",
        frozenset({"doc_id", "doc", "resps", "arguments"}),
        lm_eval,
        {
            "question_id": "doc_id",
            "question": "arguments",
            "answer": "resps",
            "reference": "target",
            "graders": "metrics",
        },
        more=lm_eval_metrics,
    ),
    Layout(
        "promptfoo",
        frozenset({"prompt", "vars", "success"}),
        each(promptfoo),
        {
            "question": "prompt.raw",
            "answer": "response.output",
            "model": "provider",
            "error": "error",
            "pass": "gradingResult.pass",
            "score": "gradingResult.score",
            "why": "gradingResult.reason",
            "graders": "namedScores",
            "finish": "response.finishReason",
        },
        _first_of(_listed("results", "results"), _listed("results")),
    ),
    Layout(
        "deepeval",
        frozenset({"metricsData"}),
        each(deepeval),
        {"question": "input", "answer": "actualOutput", "graders": "metricsData", "reference": "expectedOutput"}
        | {"conversation": "turns"},
        _DEEPEVAL,
    ),
    Layout(
        "deepeval",
        frozenset({"metrics_data"}),
        each(deepeval),
        {"question": "input", "answer": "actual_output", "graders": "metrics_data", "reference": "expected_output"}
        | {"conversation": "turns"},
        _DEEPEVAL,
    ),
    Layout(
        "garak report",
        frozenset({"entry_type"}),
        garak,
        {
            "question": "prompt",
            "answer": "outputs",
            "question_id": "seq",
            "category": "probe_classname",
            "graders": "detector_results",
            "model": "plugins.target_name",
        },
    ),
    Layout(
        "garak hitlog",
        frozenset({"goal", "prompt", "output", "score", "attempt_id", "detector"}),
        garak_hits,
        {
            "question": "prompt",
            "answer": "output",
            "question_id": "attempt_seq",
            "attempt": "attempt_id",
            "reply": "attempt_idx",
            "category": "probe",
            "grader": "detector",
            "score": "score",
            "model": "generator",
        },
    ),
    Layout(
        "HarmBench",
        frozenset({"test_case", "generation"}),
        each(harmbench),
        {"question": "test_case", "answer": "generation", "question_id": "behavior_id", "misaligned": "label"},
        harmbench_rows,
    ),
    Layout(
        "JailbreakBench",
        frozenset({"goal", "behavior", "prompt", "response", "jailbroken"}),
        each(jailbreakbench),
        {
            "question": "prompt",
            "answer": "response",
            "question_id": "behavior",
            "misaligned": "jailbroken",
            "category": "category",
            "model": "target_model",
        },
        jailbreakbench_rows,
    ),
    Layout(
        "AlpacaEval",
        frozenset({"instruction", "output_1", "output_2"}),
        each(alpaca),
        {
            "question": "instruction",
            "answer": "output_1",
            "answer 2": "output_2",
            "model": "generator_1",
            "model 2": "generator_2",
            "preference": "preference",
            "judge": "annotator",
            "category": "dataset",
        },
    ),
    Layout(
        "MT-Bench answers",
        frozenset({"question_id", "model_id", "choices"}),
        each(mt_bench),
        {"question_id": "question_id", "answer": "choices", "model": "model_id"},
        by=("question_id", "model"),
    ),
    Layout(
        "MT-Bench judgments",
        frozenset({"question_id", "model", "judgment", "score", "turn"}),
        each(mt_bench_single),
        _MT | {"model": "model", "mt-bench": "score", "raw": "judgment"},
        what="judgments",
        by=("question_id", "model", "sample"),
    ),
    Layout(
        "MT-Bench pair judgments",
        frozenset({"question_id", "model_1", "model_2", "g1_winner", "g2_winner"}),
        each(mt_bench_pair),
        _MT | {"model": "model_1", "model 2": "model_2", "winner": "g1_winner", "winner 2": "g2_winner"},
        what="judgments",
        by=("question_id", "model", "sample"),
    ),
    Layout(
        "MT-Bench votes",
        frozenset({"question_id", "model_a", "model_b", "winner", "conversation_a", "conversation_b"}),
        each(mt_bench_human),
        _MT
        | {"model": "model_a", "model 2": "model_b", "winner": "winner"}
        | {"conversation": "conversation_a", "conversation 2": "conversation_b"},
        by=("question_id", "model", "sample", "judge"),
    ),
    Layout(
        "PyRIT",
        frozenset({"conversation_id", "role", "original_value"}),
        pyrit,
        {
            "conversation": "conversation_id",
            "role": "role",
            "turn": "sequence",
            "answer": "converted_value",
            "graders": "scores",
            "model": "prompt_target_identifier",
        },
    ),
    Layout(
        "openai/evals log",
        frozenset({"sample_id", "event_id", "type"}),
        evals,
        {"question_id": "sample_id", "question": "data.prompt", "answer": "data.sampled", "correct": "data.correct"}
        | {"reference": "data.expected", "model": "spec.completion_fns", "kind": "type"},
        more=evals_metrics,
    ),
    Layout(
        "OpenAI batch output",
        frozenset({"custom_id", "response"}),
        of_one_model(openai_batch),
        _BATCH | {"answer": "response.body", "error": "error"},
    ),
    Layout(
        "Anthropic batch output",
        frozenset({"custom_id", "result"}),
        of_one_model(anthropic_batch),
        _BATCH | {"answer": "result"},
    ),
    *(
        Layout(
            "Langfuse",
            frozenset({"input", "output", trace}),
            each(langfuse),
            {"question": "input", "answer": "output", "model": "model", "graders": "scores"},
        )
        for trace in ("traceId", "trace_id", "htmlPath")
    ),
)
