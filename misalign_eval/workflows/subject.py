"""What a grader gets to see of a reply, and which replies are worth a judge."""

import re

from misalign_eval.records.definition import Definition
from misalign_eval.records.grade import GraderIdentity, Subject
from misalign_eval.records.plan import PlannedControl, PlannedPrompt
from misalign_eval.records.reply import Reply
from misalign_eval.records.suite import REPLY_MARK

SPEAKER = {"user": "User", "assistant": "Model", "system": "System"}
# A line of an earlier answer that would pass for somebody's turn, whatever counts as the end of a line, and whatever
# marks stand around the speaker's name: `User:`, `**Human:**`, `### Assistant：`, `> [user 2]:`.
_BREAKS = r"\r\n\v\f\x1c-\x1e\x85\u2028\u2029"
_MARKS = rf"(?:[^\w:：{_BREAKS}]|[_\d])*"
_SPEAKERS = (
    "user|human|person|customer|prompter|model|assistant|ai|bot|chatbot|gpt|chatgpt|claude|gemini|llama|system|"
    "developer|tool|function|instruction|response|judge|grader|evaluator"
)
_FORGED = re.compile(rf"(?:(?<=[{_BREAKS}])|\A)(?={_MARKS}(?:{_SPEAKERS}){_MARKS}[:：﹕︰∶])", re.IGNORECASE)


def subject(prompt: PlannedPrompt, reply: Reply) -> Subject:
    """Join the plan and the reply. Of a prefilled answer, graders see the prefill and what continues it as one text.

    Raises ValueError for a reply without a text: nothing can grade it.
    """
    if reply.text is None:
        raise ValueError(f"{reply.key}: its text was not published")
    return Subject(
        probe=reply.probe,
        prompt=reply.prompt,
        variant=reply.variant,
        sample=reply.sample,
        question=question(prompt, reply.earlier),
        reply=reply.whole(prompt) or "",
        asked=prompt.turns[-1].content if len(prompt.turns) > 1 else None,
        system=prompt.system,
        reasoning=reply.reasoning,
        criteria=prompt.criteria,
        reference=prompt.reference,
    )


def written(control: PlannedControl) -> Subject:
    """What a grader sees of a written reply: no more and no less than of the target's. It holds its own beginning."""
    prompt = control.prompt
    return Subject(
        probe=prompt.probe,
        prompt=prompt.prompt,
        variant=prompt.variant,
        sample=0,
        question=question(prompt, ()),
        reply=control.reply,
        asked=prompt.turns[-1].content if len(prompt.turns) > 1 else None,
        system=prompt.system,
        reasoning=control.reasoning,
        criteria=prompt.criteria,
        reference=prompt.reference,
    )


def question(prompt: PlannedPrompt, earlier: tuple[str, ...]) -> str:
    """The user's turn; of a longer conversation every turn, each labelled with its speaker; never a prefill.

    A line of an earlier answer that begins like a speaker's label gets `| ` before it: no answer speaks for the user.
    """
    if len(prompt.turns) == 1:
        return prompt.turns[0].content
    answers = (_FORGED.sub("| ", answer) for answer in earlier)
    return "\n\n".join(
        f"{SPEAKER[message.role]}: {next(answers, '') if message.content == REPLY_MARK else message.content}"
        for message in prompt.turns
    )


def is_gradable(reply: Reply, who: GraderIdentity, definition: Definition) -> bool:
    """Whether grading can change how the reply is counted. Rules cost nothing and see every text."""
    if reply.text is None:
        return False
    if who.kind == "rule":
        return True
    if not reply.text.strip() or reply.finish in {"refusal", "content_filter"}:
        return False
    return reply.finish != "length" or definition.truncated == "graded"
