"""Layout readers: from the entries of well-known tools' results to replies."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from misalign_eval.interchange import layout_parts as parts
from misalign_eval.interchange.cells import shown_value
from misalign_eval.interchange.imported_reply import ImportedGrade, ImportedPrompt, ImportedReply, RunKey
from misalign_eval.interchange.layout_parts import LayoutRecord, asked, grade, known, object_of, objects, text_of
from misalign_eval.interchange.log import BadCellError, ImportLog

Entry = Mapping[str, Any]
FLAG = "misaligned"
FIRST_FILTER = "rows of another filter, passed over"
NO_REPLY = "entries that are no replies, passed over"
UNFINISHED = "attempts before their detectors ran, passed over"
HITS_ALONE = "hits without the other attempts, of which no rate can be made: import the report"
JUDGING = "samplings after the first of a sample, passed over"


Read = Callable[[Iterator[LayoutRecord], ImportLog], Iterator[ImportedReply]]
ReadOne = Callable[[LayoutRecord, ImportLog], Iterator[ImportedReply]]


def each(read: ReadOne) -> Read:
    """A reader of entries that stand for themselves."""

    def all_of(records: Iterator[LayoutRecord], account: ImportLog) -> Iterator[ImportedReply]:
        for record in records:
            with account.row(record.number, record.line):
                yield from read(record, account)

    return all_of


def of_one_model(read: ReadOne) -> Read:
    """The same for files whose failures name no model: they are of the model that replied before, or first."""

    def all_of(records: Iterator[LayoutRecord], account: ImportLog) -> Iterator[ImportedReply]:
        model: str | None = None
        early: list[ImportedReply] = []
        for found in each(read)(records, account):
            model = found.run.model or model
            early.append(found)
            if model is not None:
                yield from (reply._replace(run=RunKey(reply.run.model or model)) for reply in early)
                early.clear()
        yield from early

    return all_of


def lm_eval(records: Iterator[LayoutRecord], account: ImportLog) -> Iterator[ImportedReply]:
    """`samples_*.jsonl` of lm-eval: a row for each filter, of which the first gives the replies."""
    filters: dict[object, object] = {}
    for record in records:
        with account.row(record.number, record.line):
            entry = record.entry
            key = (entry.get("doc_id"), str(entry.get("doc_hash")), str(entry.get("prompt_hash")))
            if filters.setdefault(key, entry.get("filter")) != entry.get("filter"):
                account.counts[FIRST_FILTER] += 1
                continue
            yield from _lm_eval_row(record)


def _lm_eval_row(record: LayoutRecord) -> Iterator[ImportedReply]:
    entry = record.entry
    prompt, options = _lm_eval_arguments(entry.get("arguments"))
    found = tuple(grade(name, entry.get(name)) for name in lm_eval_metrics(entry))
    target, temperature = entry.get("target"), object_of(options).get("temperature")
    for reply in parts.texts(entry.get("resps")):
        yield parts.foreign(
            record,
            asked(str(entry["doc_id"]), prompt),
            reply,
            found=found,
            reference=target if isinstance(target, str) else None,
            temperature=temperature if isinstance(temperature, int | float) and 0 <= temperature <= 2 else None,
        )


def lm_eval_metrics(entry: Entry) -> list[str]:
    """The names of the metrics: as the row lists them, or numbers beside what every row has."""
    names = entry.get("metrics")
    if isinstance(names, list):
        listed = (name for name in names if isinstance(name, str))
        return [name for name in listed if not isinstance(entry.get(name), list | dict)]  # of instructions each
    return [name for name, value in entry.items() if name != "doc_id" and parts.is_number(value)]


def _lm_eval_arguments(arguments: object) -> tuple[object, object]:
    """The prompt and the options of the only request."""
    calls = list(arguments.values()) if isinstance(arguments, dict) else arguments
    call = calls[0] if isinstance(calls, list) and calls else None
    values = list(call.values()) if isinstance(call, dict) else call
    if not isinstance(values, list) or not values:
        raise BadCellError("`arguments` holds no prompt", "Write the samples again with a current lm-eval")
    return values[0], values[1] if len(values) > 1 else None


def promptfoo(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """A row of promptfoo. `error` holds why an assertion failed, too: a failure is a row without an output."""
    entry = record.entry
    response, grading = object_of(entry.get("response")), object_of(entry.get("gradingResult"))
    provider = entry.get("provider")
    model = provider if isinstance(provider, str) else text_of(object_of(provider), "label", "id")
    output, error = response.get("output"), response.get("error") or entry.get("error")
    why = grading.get("reason")
    found = [
        grade("pass", _passed(grading.get("pass", entry.get("success"))), why=why if isinstance(why, str) else None),
        grade("score", grading.get("score", entry.get("score"))),
        *(grade(str(name), value) for name, value in object_of(entry.get("namedScores")).items()),
    ]
    prompt = entry.get("prompt")
    yield parts.foreign(
        record,
        asked(None, prompt.get("raw") if isinstance(prompt, dict) else prompt),
        None if output is None else parts.written(output),
        model=model,
        failure=str(error or "no output") if output is None else None,
        found=tuple(found),
        finish=response.get("finishReason"),
    )


def _passed(value: object) -> object:
    return ("PASS" if value else "FAIL") if isinstance(value, bool) else value


def deepeval(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """A test case of deepeval, with a grade a metric."""
    entry = record.entry
    metrics = objects(known(entry, "metricsData", "metrics_data"))
    expected = known(entry, "expectedOutput", "expected_output")
    question, answer = entry.get("input"), text_of(entry, "actualOutput", "actual_output")
    if turns := objects(entry.get("turns")):
        replies = [place for place, turn in enumerate(turns) if turn.get("role") == "assistant"]
        if not replies:
            raise BadCellError("its `turns` hold no reply of the assistant")
        question, answer = turns[: replies[-1]], parts.words(turns[replies[-1]])
    yield parts.foreign(
        record,
        asked(None, question),
        answer,
        found=tuple(_deepeval_metric(metric) for metric in metrics),
        reference=expected if isinstance(expected, str) else None,
    )


def _deepeval_metric(metric: Entry) -> ImportedGrade:
    judge = text_of(metric, "evaluationModel", "evaluation_model")
    why = metric.get("reason") or metric.get("error")
    found = grade(str(metric.get("name") or "metric"), metric.get("score"), why=why if isinstance(why, str) else None)
    return found._replace(judge=judge)


def garak(records: Iterator[LayoutRecord], account: ImportLog) -> Iterator[ImportedReply]:
    """The report of garak: attempts whose detectors ran; 1 is a hit, the bad end."""
    model: str | None = None
    for record in records:
        with account.row(record.number, record.line):
            entry = record.entry
            if (kind := entry.get("entry_type")) == "start_run setup":
                model = text_of(entry, "plugins.target_name", "plugins.model_name") or model
            if kind != "attempt" or entry.get("status") == 1:
                account.counts[NO_REPLY if kind != "attempt" else UNFINISHED] += 1
                continue
            yield from _garak_attempt(record, model)


def _garak_attempt(record: LayoutRecord, model: str | None) -> Iterator[ImportedReply]:
    entry = record.entry
    prompt, name = entry.get("prompt"), str(entry.get("probe_classname") or "garak")
    if isinstance(prompt, dict):
        prompt = prompt.get("turns", prompt.get("text"))
    detected = object_of(entry.get("detector_results"))
    outputs = entry.get("outputs")
    for place, output in enumerate(outputs if isinstance(outputs, list) else []):
        text = output.get("text") if isinstance(output, dict) else output
        scores = (
            grade(str(detector), values[place] if isinstance(values, list) and place < len(values) else None)
            for detector, values in detected.items()
        )
        yield parts.foreign(
            record,
            asked(f"{name}-{entry.get('seq', record.number)}", prompt),
            text if isinstance(text, str) else None,
            model=model,
            failure=None if isinstance(text, str) else "no output",
            found=tuple(scores),
            category=name,
        )


def harmbench(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """A completion of HarmBench. `label` 1 says that it shows the harmful behaviour."""
    entry = record.entry
    case = entry.get("test_case")
    words = next((item for item in case[::-1] if isinstance(item, str)), None) if isinstance(case, list) else case
    behaviour = str(entry.get("behavior_id") or entry.get("behavior") or "") or None
    yield parts.foreign(
        record,
        asked(behaviour, words),
        parts.written(entry.get("generation")),
        found=(parts.flag(FLAG, entry.get("label")),) if "label" in entry else (),
        category=text_of(entry, "category"),
    )


def harmbench_rows(document: Entry) -> Sequence[object] | None:
    """The completions of all behaviours of a HarmBench document."""
    lists = list(document.values())
    if not all(isinstance(value, list) for value in lists):
        return None
    return [{"behavior_id": key, **row} for key, rows in document.items() for row in rows if isinstance(row, dict)]


def jailbreakbench(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """A jailbreak of JailbreakBench; where the attack found none there is neither a prompt nor a reply."""
    entry = record.entry
    behaviour = text_of(entry, "behavior", "goal") or str(entry.get("index"))
    yield parts.foreign(
        record,
        asked(behaviour, entry.get("prompt")),
        parts.written(entry.get("response")),
        found=(parts.flag(FLAG, entry.get("jailbroken")),),
        category=text_of(entry, "category"),
        model=text_of(entry, "target_model"),
    )


def jailbreakbench_rows(document: Entry) -> Sequence[object] | None:
    """The jailbreaks of a document, with the model that was attacked."""
    model = object_of(document.get("parameters")).get("model")
    named = {"target_model": model} if isinstance(model, str) else {}
    rows = document.get("jailbreaks")
    return [{**named, **row} if isinstance(row, dict) else row for row in rows] if isinstance(rows, list) else None


def alpaca(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """A comparison of AlpacaEval: two models' replies; `preference` names the better one, 1.5 neither."""
    entry = record.entry
    preference, judge = entry.get("preference"), text_of(entry, "annotator")
    for place in (1, 2):
        label = None
        if isinstance(preference, int | float):
            better = 0.0 if preference == 1.5 else 1 + (preference > 1.5)
            label = "TIE" if not better else "PREFERRED" if better == place else "NOT-PREFERRED"
        yield parts.foreign(
            record,
            asked(None, entry["instruction"]),
            text_of(entry, f"output_{place}"),
            model=text_of(entry, f"generator_{place}") or f"output_{place}",
            found=(grade("preference", label)._replace(judge=judge),) if "preference" in entry else (),
            category=text_of(entry, "dataset"),
        )


def mt_bench(record: LayoutRecord, account: ImportLog) -> Iterator[ImportedReply]:
    """Answers of MT-Bench: the reply to each turn, whose questions stand in another file."""
    entry = record.entry
    for choice in objects(entry.get("choices")):
        for place, turn in enumerate(choice.get("turns") or [], 1):
            probe = str(entry["question_id"]) if place == 1 else f"{entry['question_id']}-turn-{place}"
            account.counts["later turns, as probes of their own"] += place > 1
            yield parts.foreign(record, ImportedPrompt(probe), parts.written(turn), model=text_of(entry, "model_id"))


def mt_bench_single(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """A judgment of MT-Bench of one reply, from 1 to 10; -1 says that the judge could not be read."""
    entry = record.entry
    score, said = entry.get("score"), entry.get("judgment")
    none = grade("mt-bench", score)._replace(judge=_mt_judge(entry), raw=said if isinstance(said, str) else None)
    if score == -1:
        none = none._replace(score=None, reason="unparsable", message="the file says that the judge could not be read")
    elif none.score is None or not 0 <= none.score <= 10:
        raise BadCellError(f"the score {shown_value(score)} is none from 1 to 10, and not -1 for none")
    yield parts.foreign(record, ImportedPrompt(_mt_probe(entry)), None, model=text_of(entry, "model"), found=(none,))


def mt_bench_pair(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """A judgment of MT-Bench of two models' replies, asked in both orders: a win is one in both, as MT-Bench counts."""
    entry = record.entry
    first, second = str(entry.get("g1_winner")), str(entry.get("g2_winner"))
    names = text_of(entry, "model_1") or "model_1", text_of(entry, "model_2") or "model_2"
    for place, (model, other) in enumerate((names, names[::-1]), 1):
        label = None
        if {first, second} <= {"model_1", "model_2", "tie"}:
            is_tie = first == "tie" or first != second
            label = "TIE" if is_tie else "PREFERRED" if first == f"model_{place}" else "NOT-PREFERRED"
        none = grade(f"preference-over-{other}", label)._replace(judge=_mt_judge(entry))
        if label is None:
            message = f"the judge said {shown_value(first)} and {shown_value(second)}"
            none = none._replace(reason="unparsable", message=message)
        yield parts.foreign(record, ImportedPrompt(_mt_probe(entry)), None, model=model, found=(none,))


def mt_bench_human(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """A vote of a person on two models' conversations, of MT-Bench or the Chatbot Arena."""
    entry = record.entry
    winner = str(entry.get("winner"))
    names = {side: text_of(entry, f"model_{side}") or f"model_{side}" for side in "ab"}
    for side, other in (("a", "b"), ("b", "a")):
        is_tie = winner.startswith("tie")
        if not is_tie and winner not in {"model_a", "model_b"}:
            raise BadCellError(f"the winner {shown_value(winner)} is none of model_a, model_b, tie")
        label = "TIE" if is_tie else "PREFERRED" if winner == f"model_{side}" else "NOT-PREFERRED"
        said = objects(entry.get(f"conversation_{side}"))
        turn = entry.get("turn")
        replies = [place for place, item in enumerate(said) if item.get("role") == "assistant"]
        if not isinstance(turn, int) or not 1 <= turn <= len(replies):
            raise BadCellError(f"`conversation_{side}` has no reply of turn {shown_value(turn)}")
        last = replies[turn - 1]
        yield parts.foreign(
            record,
            asked(_mt_probe(entry), said[:last]),
            parts.words(said[last]),
            model=names[side],
            found=(grade(f"preference-over-{names[other]}", label)._replace(judge=_mt_judge(entry)),),
        )


def _mt_judge(entry: Entry) -> str | None:
    """Who judged: a name, or a name with that of its prompt."""
    judge = entry.get("judge")
    named = judge[0] if isinstance(judge, list) and judge else judge
    return named if isinstance(named, str) else None


def _mt_probe(entry: Entry) -> str:
    turn = entry.get("turn")
    return f"{entry['question_id']}" if turn in {None, 1} else f"{entry['question_id']}-turn-{turn}"


def garak_hits(records: Iterator[LayoutRecord], account: ImportLog) -> Iterator[ImportedReply]:
    """The hitlog of garak: replies that a detector hit, a line for each detector. It has no others, so no rate."""
    hits: dict[tuple[object, ...], list[LayoutRecord]] = defaultdict(list)
    for record in records:
        account.counts[HITS_ALONE] += 1
        hits[record.entry.get("attempt_id"), record.entry.get("attempt_idx")].append(record)
    for same in hits.values():
        with account.row(same[0].number, same[0].line):
            entry, output = same[0].entry, same[0].entry.get("output")
            prompt, probe = entry.get("prompt"), str(entry.get("probe") or "garak")
            if isinstance(prompt, dict):
                prompt = prompt.get("turns", prompt.get("text"))
            yield parts.foreign(
                same[0],
                asked(f"{probe}-{entry.get('attempt_seq', entry.get('attempt_id'))}", prompt),
                text_of(output, "text") if isinstance(output, dict) else parts.written(output),
                model=text_of(entry, "generator"),
                found=tuple(grade(str(item.entry.get("detector")), item.entry.get("score")) for item in same),
                category=probe,
            )


def pyrit(records: Iterator[LayoutRecord], account: ImportLog) -> Iterator[ImportedReply]:
    """Message pieces of PyRIT: the last reply of each conversation, after all that was said before it."""
    talks: dict[str, list[LayoutRecord]] = defaultdict(list)
    for record in records:
        talks[str(record.entry.get("conversation_id"))].append(record)
    for talk in talks.values():
        with account.row(talk[0].number, talk[0].line):
            talk.sort(key=lambda item: (item.entry.get("sequence") or 0, item.number))
            replies = [place for place, item in enumerate(talk) if item.entry.get("role") == "assistant"]
            if not replies:
                account.counts[NO_REPLY] += len(talk)
                continue
            account.counts["turns read as what was said before the reply"] += replies[-1]
            account.counts[NO_REPLY] += len(talk) - replies[-1] - 1
            yield _pyrit_reply(talk[: replies[-1]], talk[replies[-1]])


def _pyrit_reply(before: Sequence[LayoutRecord], record: LayoutRecord) -> ImportedReply:
    entry = record.entry
    turns = [{"role": record.entry.get("role"), "content": _pyrit_text(record.entry)} for record in before]
    error = entry.get("response_error")
    model = text_of(entry, "prompt_target_identifier.model_name", "prompt_target_identifier.__type__")
    return parts.foreign(
        record,
        asked(None, turns),
        _pyrit_text(entry),
        model=model,
        found=tuple(map(_pyrit_score, objects(entry.get("scores")))),
        finish="content_filter" if error == "blocked" else None,
    )


def _pyrit_text(entry: Entry) -> str:
    """What was sent or came: after the converters."""
    return str(known(entry, "converted_value", "original_value") or "")


def _pyrit_score(score: Entry) -> ImportedGrade:
    category = score.get("score_category")
    named = category[0] if isinstance(category, list) and category else category
    scorer = text_of(score, "scorer_class_identifier.__type__")
    value, why = score.get("score_value"), score.get("score_rationale")
    return grade(str(named or scorer or "score"), value, why=why if isinstance(why, str) else None)._replace(
        judge=scorer
    )


def evals(records: Iterator[LayoutRecord], account: ImportLog) -> Iterator[ImportedReply]:
    """A log of openai/evals: what was sampled first for each sample, with whether it matched."""
    model: str | None = None
    replies: dict[str, LayoutRecord] = {}
    matches: dict[str, Entry] = {}
    metrics: dict[str, Entry] = {}
    for record in records:
        with account.row(record.number, record.line):
            entry = record.entry
            models = object_of(entry.get("spec")).get("completion_fns")
            model = str(models[0]) if isinstance(models, list) and models else model
            sample, kind = str(entry.get("sample_id")), entry.get("type")
            if kind == "sampling" and sample not in replies:
                replies[sample] = record
                continue
            if kind == "match":
                matches[sample] = object_of(entry.get("data"))
                account.counts["matches, read as grades"] += 1
            elif kind == "metrics":
                metrics[sample] = object_of(entry.get("data"))
                account.counts["metrics, read as grades"] += 1
            else:
                account.counts[JUDGING if kind == "sampling" else NO_REPLY] += 1
    for sample, record in replies.items():
        with account.row(record.number, record.line):
            measured = _scalars(metrics.get(sample, {}))
            for reply in _evals_reply(record, sample, matches.get(sample), model):
                yield reply._replace(found=(*reply.found, *measured))


def evals_metrics(entry: Entry) -> list[str]:
    """The paths of metrics in a log of openai/evals."""
    data = object_of(entry.get("data")) if entry.get("type") == "metrics" else {}
    return [f"data.{name}" for name, value in data.items() if not isinstance(value, list | dict)]


def _scalars(metrics: Entry) -> tuple[ImportedGrade, ...]:
    """Grades of what is a number or a word."""
    values = {str(name): value for name, value in metrics.items() if not isinstance(value, list | dict)}
    return tuple(grade(name, value) for name, value in values.items())


def _evals_reply(record: LayoutRecord, sample: str, match: Entry | None, model: str | None) -> Iterator[ImportedReply]:
    data = object_of(record.entry.get("data"))
    sampled = data.get("sampled")
    found: tuple[ImportedGrade, ...] = ()
    reference: str | None = None
    if match is not None:
        correct = match.get("correct")
        found = (grade("correct", ("CORRECT" if correct else "INCORRECT") if isinstance(correct, bool) else None),)
        reference = text_of(match, "expected")
    for reply in sampled if isinstance(sampled, list) else [sampled]:
        yield parts.foreign(
            record,
            asked(sample, data.get("prompt")),
            parts.written(reply),
            model=model,
            found=found,
            reference=reference,
        )


def openai_batch(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """Output of OpenAI's batch interface, chat completions or responses; servers that speak it write the same."""
    entry = record.entry
    response = object_of(entry.get("response"))
    body = object_of(response.get("body"))
    probe, model = ImportedPrompt(str(entry["custom_id"])), text_of(body, "model")
    error = entry.get("error") or body.get("error")
    if error or not (body.get("choices") or body.get("output")):
        why = text_of(object_of(error), "message", "code") or f"status {response.get('status_code')}"
        yield parts.foreign(record, probe, None, model=model, failure=why)
        return
    for choice in objects(body.get("choices")):
        message = object_of(choice.get("message"))
        text = text_of(message, "content") if isinstance(message.get("content"), str) else parts.words(message)
        text = text_of(choice, "text") if not message else text or text_of(message, "refusal") or text
        reasoning = text_of(message, "reasoning_content", "reasoning")
        finish = choice.get("finish_reason")
        yield parts.foreign(record, probe, text, model=model, finish=finish, reasoning=reasoning)
    if isinstance(body.get("output"), list):
        said = [item for item in objects(body["output"]) if item.get("type") == "message"]
        text = "".join(parts.words(item) or "" for item in said)
        finish = "stop" if body.get("status") == "completed" else "length"
        yield parts.foreign(record, probe, text if said else None, model=model, finish=finish)


def anthropic_batch(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """Output of Anthropic's batch interface; thinking is kept apart."""
    entry = record.entry
    result = object_of(entry.get("result"))
    message = object_of(result.get("message"))
    probe, kind = ImportedPrompt(str(entry["custom_id"])), str(result.get("type"))
    if kind != "succeeded":
        error = object_of(result.get("error"))
        said = text_of(object_of(error.get("error")) or error, "message", "type")
        yield parts.foreign(record, probe, None, failure=": ".join(filter(None, [kind, said])))
        return
    blocks = objects(message.get("content"))
    thought = "\n".join(str(block.get("thinking") or "") for block in blocks if block.get("type") == "thinking")
    yield parts.foreign(
        record,
        probe,
        parts.words(message),
        model=text_of(message, "model"),
        finish=message.get("stop_reason"),
        reasoning=thought or None,
    )


def langfuse(record: LayoutRecord, _: ImportLog) -> Iterator[ImportedReply]:
    """An observation or trace of Langfuse whose input and output are texts or messages."""
    entry = record.entry
    given, output = entry.get("input"), entry.get("output")
    given = given.get("messages", given) if isinstance(given, dict) else given
    text = parts.words(output) if isinstance(output, dict) else output if isinstance(output, str) else None
    scores = entry.get("scores")
    yield parts.foreign(
        record,
        asked(None, given),
        text,
        model=text_of(entry, "model", "providedModelName"),
        found=tuple(
            grade(str(item.get("name") or "score"), known(item, "value", "stringValue")) for item in objects(scores)
        ),
    )
