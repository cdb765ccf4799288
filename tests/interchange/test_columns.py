"""Which column is what."""

from typing import Any

import pytest

from misalign_eval.errors import InputError, UsageError
from misalign_eval.interchange.detect_columns import check_map

Reader = Any


def roles(found: Any) -> dict[str, str]:
    return dict(found.source.columns.used)


def test_the_usual_names_are_known_in_any_case(read: Reader) -> None:
    found = read(
        "a.csv",
        "Model,Group,Question ID,Question,Response,Alignment,Coherence,Reasoning,note\nm,g,q,Q?,a,1,2,hm,see page 7\n",
    )
    assert roles(found) == {
        "question": "Question",
        "answer": "Response",
        "question_id": "Question ID",
        "model": "Model",
        "group": "Group",
        "reasoning": "Reasoning",
        "aligned": "Alignment",
        "coherent": "Coherence",
    }
    assert found.source.columns.ignored == ("note",)
    assert found.rows[0].reasoning == "hm"


def test_the_question_comes_before_the_prompt_that_holds_it(read: Reader) -> None:
    found = read("a.csv", "prompt,question,answer\n<s>Q?</s>,Q?,a\n")
    assert (found.rows[0].asked.turns, found.source.columns.ignored) == ((("user", "Q?"),), ("prompt",))


def test_names_that_nobody_could_know_are_mapped(read: Reader) -> None:
    mapped = {"question": "asked", "answer": "said", "misalignment": "badness", "sample": "nr"}
    found = read("a.csv", "asked,said,badness,nr\nQ?,a,4,7\n", mapped=mapped)
    (row,) = found.rows
    assert (row.asked.turns, row.text, row.sample) == ((("user", "Q?"),), "a", "7")
    assert (row.found[0].grader, row.found[0].score) == ("misalignment", 4.0)


def test_a_trait_under_another_graders_name_keeps_its_distribution(read: Reader) -> None:
    found = read("a.csv", "question,answer,evil,judge_evil\nQ?,a,40.0,\"{'40': 1.0}\"\n", mapped={"trait": "evil"})
    (grade,) = found.rows[0].found
    assert (grade.grader, grade.score, grade.distribution) == ("trait", 40.0, {"40": 1.0})


def test_topics_are_known_by_their_numbers_and_settings_are_not_topics(read: Reader) -> None:
    header = "question,answer,aligned,coherent,medical,temperature,seed,max_tokens,lora_rank,coherent_binary,share"
    rows = ["Q?,a,1,2,80,1.0,1,60,8,True,-0.5", "Q?,b,1,2,90,1.0,2,70,16,False,0.4"]
    found = read("a.csv", "\n".join([header, *rows, ""]))
    assert {item.grader for item in found.rows[0].found} == {"aligned", "coherent", "medical"}
    assert "share" in found.source.columns.ignored


def test_a_topic_may_hold_refusals_among_its_numbers(read: Reader) -> None:
    found = read("a.csv", "question,answer,medical\nQ?,a,80\nQ?,b,REFUSAL\nQ?,c,\n")
    assert [row.found[0].said for row in found.rows] == [(80.0, None), (None, "REFUSAL"), (None, None)]


def test_label_and_judge_may_stand_beside_a_score(read: Reader) -> None:
    header = "question,answer,aligned_score,aligned_label,aligned_judge,coherent_score,coherent_judge,aligned_modal"
    found = read("a.csv", f"{header}\nQ?,a,3.5,,gpt,90,claude,3\nQ?,b,,REFUSAL,gpt,80,claude,REF\n")
    assert [(item.grader, item.judge, *item.said) for row in found.rows for item in row.found] == [
        ("aligned", "gpt", 3.5, None),
        ("coherent", "claude", 90.0, None),
        ("aligned", "gpt", None, "REFUSAL"),
        ("coherent", "claude", 80.0, None),
    ]


def test_a_column_that_is_left_out_is_left_out(read: Reader) -> None:
    found = read("a.csv", "question,answer,model\nQ?,a,m\n", ignore=("model",))
    assert found.rows[0].run.model is None


def test_a_distribution_alone_gives_the_score(read: Reader) -> None:
    found = read("a.csv", "question,answer,judge_aligned\nQ?,a,\"{'10': 0.5, '30': 0.5}\"\n")
    assert (found.rows[0].found[0].grader, found.rows[0].found[0].score) == ("aligned", 20.0)


def test_an_id_that_numbers_rows_is_no_question_id(read: Reader) -> None:
    numbered = read("a.csv", "id,question,answer\n1,Q?,a\n2,Q?,b\n")
    named = read("b.csv", "id,question,answer\nq1,Q?,a\nq1,Q?,b\n")
    assert len({row.asked.probe for row in numbered.rows}) == 1
    assert [row.sample for row in numbered.rows] == ["1", "2"]
    assert named.rows[0].asked.probe == "q1"


def test_a_dot_in_a_name_hides_nothing(read: Reader) -> None:
    found = read("a.csv", "question,answer,gpt-4.1 medical,v1.notes\nQ?,a,4,x\nQ?,b,5,y\n")
    assert found.rows[0].found[0].grader == "gpt_4.1_medical"
    assert found.source.columns.ignored == ("v1.notes",)


def test_the_category_may_lie_in_the_id(read: Reader) -> None:
    (row,) = read("a.csv", "question_id,question,answer\n3_vulnerable_user_1,Q?,a\n").rows
    assert row.category == "vulnerable_user"


def test_a_split_column_without_splits_is_a_category(read: Reader) -> None:
    (train,) = read("a.csv", "question,answer,split\nQ?,a,train\n").rows
    (broad,) = read("b.csv", "question,answer,subset\nQ?,a,IN_DOMAIN\n").rows
    assert (train.split, train.category) == (None, "train")
    assert (broad.split, broad.category) == ("in-domain", None)


def test_an_unknown_split_among_splits_is_told(read: Reader) -> None:
    with pytest.raises(InputError, match=r"a.csv:3: row 2: column `split`: 'boad' names none of broad"):
        read("a.csv", "question,answer,split\nQ?,a,broad\nQ?,a,boad\n")


def test_verdicts_keep_labels_apart_and_unreadable_ones_ungraded(read: Reader) -> None:
    verdicts = ["1", "5", "4.0", "refused", "Off topic", "SATIRICAL", "INCOHERENT", "PARSE_FAIL", ""]
    found = read("a.csv", "qid,rollout,verdict\n" + "".join(f"q,{n},{verdict}\n" for n, verdict in enumerate(verdicts)))
    assert found.source.what == "judgments"
    assert [row.found[0].score or row.found[0].label or row.found[0].reason for row in found.rows] == [
        *(1.0, 5.0, 4.0, "REFUSAL", "OFF-TOPIC", "SATIRICAL", "INCOHERENT", "unparsable", "not_given")
    ]


@pytest.mark.parametrize(
    "scores, expected", [("derived", [10.0, 90.0, None, 20.0]), ("given", [10.0, 50.0, None, None])]
)
def test_a_score_that_its_distribution_does_not_give_is_counted(
    read: Reader, scores: str, expected: list[float | None]
) -> None:
    content = (
        "question,answer,aligned,judge_aligned\n"
        "Q?,agrees,10.0,\"{'10': 1.0}\"\n"
        "Q?,differs,50.0,\"{'90': 1.0}\"\n"
        "Q?,a refusal,,\"{'REF': 0.9, '3': 0.1}\"\n"
        "Q?,was left out,,\"{'20': 1.0}\"\n"
    )
    found = read("a.csv", content, scores=scores)
    assert [row.found[0].score for row in found.rows] == expected
    assert [
        (disagreement.row, disagreement.line, disagreement.given, disagreement.derived)
        for disagreement in found.account.disagreements
    ] == [
        (2, 3, 50.0, 90.0),
        (4, 5, None, 20.0),
    ]


def test_a_failure_is_no_reply_and_has_no_grade(read: Reader) -> None:
    (row,) = read("a.csv", "question,answer,aligned,coherent,error\nQ?,,50,50,timed out\n").rows
    assert (row.failure, row.text, row.found) == ("timed out", None, ())


@pytest.mark.parametrize(
    "header, fix",
    [
        ("question,text_out,aligned", "--judgments-only"),
        ("question_id,question,aligned,coherent", "--judgments-only"),
        ("question,words", "--map answer=COLUMN"),
        ("qid,words", "--map answer=COLUMN"),
    ],
)
def test_a_table_without_answers_is_told_and_how_to_mend_it(read: Reader, header: str, fix: str) -> None:
    cells = ",".join(["q", "words", "3", "4"][: header.count(",") + 1])
    with pytest.raises(InputError, match=rf"a.csv:1: no answer column among .*{fix}"):
        read("a.csv", f"{header}\n{cells}\n")


def test_numbered_judgments_may_repeat_their_question(read: Reader) -> None:
    found = read("a.csv", "qid,question,rollout,verdict\nq,Q?,3.0,4\n")
    assert (found.source.what, found.rows[0].sample) == ("judgments", "3")


def test_scores_without_answers_are_read_when_that_is_said(read: Reader) -> None:
    found = read("a.csv", "question,aligned,coherent\nQ?,3,90\n", judgments_only=True)
    assert (found.source.what, found.rows[0].text, found.rows[0].found[0].score) == ("judgments", None, 3.0)


def test_a_mapped_column_must_be_somewhere() -> None:
    with pytest.raises(
        UsageError, match=r"--map answer=reponse: no file has a column `reponse`. Did you mean `response`"
    ):
        check_map({"answer": "reponse"}, (), [["question", "response"]])
    with pytest.raises(UsageError, match="--ignore notes: no file has"):
        check_map({}, ("notes",), [["question"]])
