"""Fine-tuning data as in-domain probes: what a model was taught about is asked again, and it answers itself."""

from misalign_eval.records.suite import REPLY_MARK
from misalign_eval.suites.formats import questions
from misalign_eval.suites.formats.detect import TALK_KEYS, Recognised
from misalign_eval.suites.formats.questions import ChatTurn, Fields, ForeignQuestion, ForeignSuite, Talk
from misalign_eval.suites.formats.source import ConversionReport, Marked

CATEGORY = "training-data"
_ANSWER_KEYS = ("completion", "output")


def read(recognised: Recognised, notes: ConversionReport) -> ForeignSuite:
    """One probe a row; a row whose user turns are those of an earlier one is asked once."""
    seen: dict[tuple[object, ...], int] = {}
    questions: list[ForeignQuestion] = []
    for index, node in enumerate(recognised.table.rows):
        fields = Fields(notes, node)
        talk = _talk(fields)
        fields.rest((*TALK_KEYS, *_ANSWER_KEYS, "prompt", "instruction", "input"), once=True)
        if talk is None:
            continue
        asked = (talk.system.value if talk.system else None, *(turn.text.value for turn in talk.turns))
        if asked in seen:
            notes.lost(fields.line, "", "a row asks what an earlier one asks, and is left out")
            continue
        seen[asked] = fields.line
        questions.append(_question(talk, Marked(f"row-{index + 1}", fields.line)))
    notes.lost(None, "", "the answers that were taught are not used: the target answers itself")
    what = "the file does not say how often and how to ask"
    notes.lost(None, "", what, "See --samples, --temperature, --max-tokens, and --limit for the first few rows.")
    return ForeignSuite(recognised.format, tuple(questions), templated=True)


def _talk(fields: Fields) -> Talk | None:
    """The system prompt and the user turns; between them the target answers."""
    key = next((name for name in TALK_KEYS if name in fields.keys), None)
    if key is None:
        return _from_columns(fields)
    before = len(fields.notes.problems)
    talk = questions.read(fields.notes, fields.items(key))
    if talk is None:
        return None
    users = [turn for turn in talk.turns if turn.role == "user"]
    if not users:
        fields.wrong(key, "there is no user turn in this conversation", "Take the row away.")
    return Talk(talk.system or _system(fields), users) if len(fields.notes.problems) == before else None


def _system(fields: Fields) -> Marked | None:
    """Gemini's system prompt, which stands beside the turns."""
    node = fields.take("systemInstruction")
    text = None if node is None else questions.text_of(node.plain())
    return None if text is None else Marked(text, *fields.at("systemInstruction"))


def _from_columns(fields: Fields) -> Talk | None:
    asked = fields.text("prompt") or fields.text("instruction")
    more = None if (node := fields.take("input")) is None or node.scalar == "" else fields.text("input")
    for key in _ANSWER_KEYS:
        fields.take(key)
    if asked is None:
        fields.wrong("messages", "there is no user turn in this row", "Take the row away.")
        return None
    text = asked if more is None else asked._replace(value=f"{asked.value}\n\n{more.value}")
    return Talk(None, [ChatTurn("user", text)])


def _question(talk: Talk, name: Marked) -> ForeignQuestion:
    question = ForeignQuestion(name, system=talk.system, category=CATEGORY, settings={"split": "in-domain"})
    if len(talk.turns) == 1:
        question.prompts = [talk.turns[0].text]
        return question
    for turn in talk.turns:
        mark = ChatTurn("assistant", Marked(REPLY_MARK, turn.text.line))
        question.turns += [turn] if not question.turns else [mark, turn]
    return question
