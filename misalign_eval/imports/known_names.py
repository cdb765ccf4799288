"""What people call the columns of their results: names of questions and answers, and of the objects that hold them."""

import re
from collections.abc import Sequence

QUESTIONS = ("question", "question_text", "instruction", "user_prompt", "query", "prompt", "input", "paraphrase")
ATTACKS = (  # what was asked, where nothing else says it: first the words that were sent
    *("jailbroken_prompt", "adversarial_prompt", "attack_prompt", "test_case", "forbidden_prompt", "goal", "behavior"),
)
MODEL_SAYS = (  # never a gold answer
    *(
        "model_answer",
        "model_response",
        "model_output",
        "generated_text",
        "generation",
        "prediction",
        "predicted_answer",
    ),
    *("generated", "generated_answer", "generated_response", "model_prediction", "model_reply", "model_completion"),
    *("llm_answer", "llm_response", "llm_output", "assistant_response", "target_response"),
)
ANSWERS = (
    *("answer", "response", "reply", "completion", *MODEL_SAYS),
    *("output", "output_text", "actual_output"),
)
SINGULAR = {  # several replies of one row
    "answers": "answer",
    "responses": "response",
    "replies": "reply",
    "completions": "completion",
    "generations": "generation",
    "outputs": "output",
    "model_answers": "model_answer",
    "model_responses": "model_response",
    "model_outputs": "model_output",
    "rollouts": "response",
    "choices": "choice",
}
HOLD_ANSWERS = {*ANSWERS, "message", "choice", "choices"}  # objects that may hold what the model said
ANSWER_PARTS = frozenset(
    {"text", "content", "answer", "completion", "output", "response", "output_text", "message.content"}
    | {"choices.0.message.content", "choices.0.text", "body.choices.0.message.content", "message", "0.message.content"}
    | {"0.text", "generated_text"}
)
HOLD_QUESTIONS = {*QUESTIONS, "vars", "inputs"}
QUESTION_PARTS = frozenset({"text", "content", "question", "prompt", "raw", "query", "messages", "instruction"})
ID_PARTS = frozenset({"id", "question_id", "qid", "name"})
HOLD_FACTS = frozenset(  # objects that describe a row, and hold nothing that anybody said of its topic
    {"metadata", "meta", "config", "info", "params", "parameters", "settings", "generation_config", "sampling"}
    | {"generation_params", "sampling_params", "experiment", "run", "request"}
)
HOLD_GRADES = re.compile(r"judg|grad(?!ient)|eval|scor|rating|verdict|annotat|classif")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BETWEEN = re.compile(r"[\s\-]+")


def plain(name: str) -> str:
    """A column's name as rules know it.

    >>> plain(" Question-ID "), plain("actualOutput")
    ('question_id', 'actual_output')
    """
    return _BETWEEN.sub("_", _CAMEL.sub("_", name.strip()).lower())


def exactly(usual: Sequence[str], left: dict[str, str]) -> str | None:
    """The column with the first of these names. `left`: their names → ours."""
    for wanted in usual:
        for name, ours in left.items():
            if ours == wanted:
                return name
    return None
