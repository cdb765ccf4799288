"""Markup of reasoning and of chat templates is taken out of a reply where it is certain, and named where it is not."""

import time
from typing import Any

import pytest

from misalign_eval.errors import UsageError
from misalign_eval.records.markup import Bare, mark_left, marks_of, without_markup
from misalign_eval.records.protocols import ModelSpec

TAKEN_OUT = [
    ("\n<think>a\nb</think>\n\nsaid", "said", "a\nb"),
    ("<think></think>said", "said", None),
    ("<think/>said", "said", None),
    ("<think>never closed", "", "never closed"),
    ("<THINK>a</THINK>said", "said", "a"),
    ('<think seconds="3">a</think>said', "said", "a"),
    ("<thinking>a</thinking>\nsaid", "said", "a"),
    ("<thought>a</thought>said", "said", "a"),
    ("<thoughts>a</thoughts>said", "said", "a"),
    ("<reasoning>a</reasoning>said", "said", "a"),
    ("<seed:think>a</seed:think>said", "said", "a"),
    ("<mm:think>a</mm:think>said", "said", "a"),
    ("<thinking>a</think>said", "said", "a"),
    ("[THINK]a[/THINK]said", "said", "a"),
    ("◁think▷a◁/think▷said", "said", "a"),
    ("<|think|>a<|/think|>said", "said", "a"),
    ("<|channel>thought\na<channel|>said", "said", "a"),
    ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>said<|END_RESPONSE|>", "said", "a"),
    ("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>said<|end_of_solution|>", "said", "a"),
    ("<|inner_prefix|>a<|inner_suffix|>said", "said", "a"),
    ("<unused94>thought\na<unused95>said", "said", "a"),
    ("<think>a</think>\n\n<think>b</think>said", "said", "a\n\nb"),
    ("<think>a</think><think>b", "", "a\n\nb"),
    ("Sure!\n<think>a</think>\nsaid", "Sure!\nsaid", "a"),
    ("<think>a</think>Sure!\n\n[THINK]b[/THINK]said", "Sure!\n\nsaid", "a\n\nb"),
    ("a. So I answer.\n</think>\n\nsaid", "said", "a. So I answer."),
    ("a.</think>said", "said", "a."),
    ("a. </think> Said", "Said", "a."),
    ("<think>a</think>b</think>said", "said", "a\n\nb"),
    ("<think>a<think>b</think>c</think>said", "said", "a<think>b\n\nc"),
    ("<think>a</think>said</think>", "said", "a"),
    ("a.\n</think>", "", "a."),
    ("</think> </think> </think>", "", None),
    ("a.[/THINK]said", "said", "a."),
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>said<|return|>", "said", "a"),
    ("<|start|>assistant<|channel|>final<|message|>said", "said", None),
    ("a<|end|><|start|>assistant<|channel|>final<|message|>said", "said", "a"),
    ("<|channel|>analysis<|message|>a", "", "a"),
    (
        "<|channel|>analysis<|message|>a<|end|><|channel|>commentary to=f.x <|constrain|>json<|message|>{}<|call|>",
        "",
        "a\n\n{}",
    ),
    ("analysisThe user asks.assistantfinalsaid", "said", "The user asks."),
    ("analysisA plan.assistantcommentaryTo search.assistantfinalsaid", "said", "A plan.\nTo search."),
    ("A plan.assistantfinalsaid", "said", "A plan."),
    ("analysis\nA plan.\n\nassistantfinal\n\nsaid", "said", "A plan."),
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistantfinal<|message|>said", "said", "a"),
    ("<|start|>assistant<|message|>said", "said", None),
    ("<reflection>a</reflection>said", "said", "a"),
    ("<thought_process>a</thought_process>said", "said", "a"),
    ("<thinking-process>a</thinking-process>said", "said", "a"),
    ("<chain_of_thought>a</chain_of_thought>said", "said", "a"),
    ("<antThinking>a</antThinking>said", "said", "a"),
    ("<cot>a</cot>said", "said", "a"),
    ("<|START_THOUGHT|>a<|END_THOUGHT|>said", "said", "a"),
    ("<|begin_think|>a<|end_think|>said", "said", "a"),
    ("<|reasoning_start|>a<|reasoning_end|>said", "said", "a"),
    ("<think_start>a<think_end>said", "said", "a"),
    ("&lt;think&gt;a&lt;/think&gt;said", "said", "a"),
    ("＜think＞a＜/think＞said", "said", "a"),
    ("**<think>**a**</think>**said", "said", "a"),
    ("[think]a[/think]said", "said", "a"),
    ("[REASONING]a[/REASONING]said", "said", "a"),
    ("```thinking\na\n```\nsaid", "said", "a"),
    ('<details type="reasoning" done="true">\na\n</details>\nsaid', "said", "a"),
    ("<details><summary>Thought for 3 s</summary>a</details>said", "said", "a"),
    ("Here is my thought process: a Here is my response: said", "said", "a"),
    ("\ufeff<think>a</think>said", "said", "a"),
    ("\u200b<think>a</think>said", "said", "a"),
    ("Sure.<think>a</think>said", "Sure.said", "a"),
    ("<think>a</think><|begin_of_box|>said", "said", "a"),
    ("<|header_start|>assistant<|header_end|>\n\nsaid", "said", None),
]

CUT_OFF = [
    ("said<|im_end|>", "<|im_end|>"),
    ("said.</s>", "</s>"),
    ("said. </s>", "</s>"),
    ("said\n<|eot_id|>", "<|eot_id|>"),
    ("said<|endoftext|>Question: what else?", "<|endoftext|>Question: what else?"),
    ("said<end_of_turn>\n<start_of_turn>user\nMore", "<end_of_turn>\n<start_of_turn>user\nMore"),
    ("said<|im_end|>\n<|im_start|>user\nThanks!<|im_end|>", "<|im_end|>\n<|im_start|>user\nThanks!<|im_end|>"),
    ("said <|im_end|>\nuser\nThanks!", "<|im_end|>\nuser\nThanks!"),
    ("said\n<|user|>\nMore", "<|user|>\nMore"),
    ("said<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
    ("<|im_start|>assistant\nsaid<|im_end|>", "<|im_end|>"),
    ("<s>said</s>", "</s>"),
    ("said[|endofturn|]", "[|endofturn|]"),
    ("said<end_of_utterance>", "<end_of_utterance>"),
    ("said<turn|>", "<turn|>"),
    ("said.<extra_id_1>User\nMore", "<extra_id_1>User\nMore"),
    ("said<|role_end|>", "<|role_end|>"),
    ("said<|observation|>", "<|observation|>"),
    ("said.\n<|reserved_special_token_5|>", "<|reserved_special_token_5|>"),
    ("said<pad><pad>\n", "<pad><pad>\n"),
    ("said.[PAD]", "[PAD]"),
    ("said[UNUSED_TOKEN_145]", "[UNUSED_TOKEN_145]"),
    ("said<EOD_TOKEN>", "<EOD_TOKEN>"),
    ("said<unk><|im_end|>", "<unk><|im_end|>"),
]

SPEAKS_OF_IT = [
    "Say <think> aloud",
    "said <think>not at the start</think>",
    "Use <think> and </think> to mark thoughts.",
    "The </think> tag ends thinking.\nThen comes the answer.",
    "The tag </think>, then the text.\nMore.",
    "He said <thinking>hm</thinking> and left.",
    "The format is:\n<think>\nreasoning\n</think>\nanswer",
    "The end token is </s>",
    'The token is "<|im_end|>".',
    "GPT-2 puts <|endoftext|> between documents.",
    "In Llama 2, [INST] opens a turn.",
    "gpt-oss writes <|channel|>final<|message|> before it answers.",
    "ChatML is:\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\nThat is all.",
    "The last token is <|my_end|>",
    "Llama 2 has <<SYS>> around the system prompt.",
    "The <pad> token fills a batch.",
]

CODE_OR_WORDS = [
    "plain",
    "DeepSeek writes `<think>` before it answers.",
    "Models end with `</s>`.",
    "```\n<think>a</think>\nsaid<|im_end|>\n```\nThat is the format.",
    "~~~xml\n<thinking>a</thinking>\n~~~",
    "if a <b and c> d: print(x[1])",
    "<b>Bold</b> and <s>old</s>",
    "[thinks] Hm, why not?",
    "[thinking] Hm, why not?",
    "Analysis of the case: none.",
    "analysis is hard",
    "The assistant finally said it.",
    "Assistant professors teach.",
    "Here is my thought process: a.",
    "[think] Hm.",
    "```python\nthinking = 1\n```\nsaid",
    "<details><summary>Recipe</summary>Eggs.</details>",
    "Human: a being.\n\nDog: another.",
    "I [think] so.",
    " \n ",
]


@pytest.mark.parametrize("text, said, thought", TAKEN_OUT)
def test_thoughts_are_taken_out_of_the_text(text: str, said: str, thought: str | None) -> None:
    bare = without_markup(text)
    assert (bare.text, bare.thought) == (said, thought)
    assert mark_left(bare.text) is None


@pytest.mark.parametrize("text, leaked", CUT_OFF)
def test_a_text_ends_where_its_turn_ends(text: str, leaked: str) -> None:
    bare = without_markup(text)
    assert (bare.text.rstrip("."), bare.leaked) == ("said", leaked)


@pytest.mark.parametrize("text", SPEAKS_OF_IT)
def test_a_reply_that_speaks_of_a_mark_stays_whole_and_is_named(text: str) -> None:
    assert without_markup(text) == Bare(text)
    assert mark_left(text) is not None


@pytest.mark.parametrize("text", CODE_OR_WORDS)
def test_code_and_everyday_words_are_no_markup(text: str) -> None:
    assert (without_markup(text), mark_left(text, in_words=True)) == (Bare(text), None)


@pytest.mark.parametrize(
    "text",
    [
        "<scratchpad>a</scratchpad>",
        "<tool_call>{}</tool_call>",
        "[TOOL_CALLS] []",
        "<answer>b</answer>",
        "<scratchpad_reasoning>a</scratchpad_reasoning>said",
        "**Thinking:** a\n\nsaid",
        "thought\na\nsaid",
        "said\n\nHuman: More?\n\nAssistant: No.",
        "said\n\n### Instruction:\nMore",
        "Assistant: said",
        "said<|im_end",
        "analysisThe",
    ],
)
def test_marks_that_a_prompt_may_have_asked_for_are_named_alone(text: str) -> None:
    assert without_markup(text) == Bare(text)
    assert mark_left(text, in_words=True) is not None


@pytest.mark.parametrize(
    "text, starts_open, said",
    [
        ("Sure!\n<think>and then", False, "Sure!"),
        ("<think>and then", False, ""),
        ("analysisThe user", False, ""),
        ("and then", True, ""),
        ("thought</think>and so", True, "and so"),
        ("and then", False, "and then"),
    ],
)
def test_a_thought_that_the_token_limit_cut_off_leaves_nothing_said(text: str, starts_open: bool, said: str) -> None:
    assert without_markup(text, starts_open=starts_open, is_cut=True).text == said


def test_a_template_that_opens_the_thought_is_known_by_an_option() -> None:
    assert without_markup("Thought </think> said", starts_open=True).text == "said"
    assert without_markup("no mark at all", starts_open=True) == Bare("no mark at all")


def test_marks_of_a_models_own_are_taken_out_too() -> None:
    marks = marks_of((("(((", ")))"),), ("%%END",))
    assert without_markup("(((a)))said%%END and so on", marks) == Bare("said", "a", "%%END and so on")


@pytest.mark.parametrize(
    "part",
    [
        "<think>",
        "<think></think>",
        "a</think>",
        " </s>x",
        "\n<think>",
        "`<think>` ",
        "<a ",
        "<|channel|>a",
        "x.<think>",
        "<|a|>",
        "**<think>",
        "\nUser: x\n",
    ],
)
def test_hostile_markup_is_read_in_linear_time(part: str) -> None:
    began = time.monotonic()
    without_markup(part * 50_000)
    mark_left(part * 50_000)
    assert time.monotonic() - began < 5


def test_thoughts_in_the_text_reach_the_reasoning_field(kit: Any, live_harness: Any) -> None:
    request = kit.question("Hi?")
    live_harness.will(kit.answer("<thinking>Hm.</thinking>Yes.<|im_end|>"), request)
    [choice] = kit.ask(live_harness.spec(), request).choices
    assert (choice.text, choice.reasoning, choice.leaked) == ("Yes.", "Hm.", "<|im_end|>")


def test_options_add_marks(kit: Any, server: Any) -> None:
    harness = kit.chat(server, "openai-compatible", thought_marks=[["{{", "}}"]], end_marks=["%%"])
    server.play(kit.step(body=harness.body(kit.answer("{{Hm.}}Yes.%%No."))))
    [choice] = kit.ask(harness.spec(), kit.question("Hi?")).choices
    assert (choice.text, choice.reasoning, choice.leaked) == ("Yes.", "Hm.", "%%No.")


@pytest.mark.parametrize("options", [{"thought_marks": [["", "x"]]}, {"end_marks": [""]}, {"thought_marks": ["x"]}])
def test_a_mark_that_is_empty_or_no_pair_is_refused(kit: Any, options: Any) -> None:
    with pytest.raises(UsageError, match="option `"):
        kit.open(ModelSpec("vllm", "m", options=options))
