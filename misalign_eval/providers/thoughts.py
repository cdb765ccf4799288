"""Reasoning that stands in the text itself is taken out of it."""

_OPEN, _CLOSE = "<think>", "</think>"


def split_thoughts(text: str, *, starts_open: bool = False) -> tuple[str, str | None]:
    """What is said, and what was thought in a `<think>` block at the start; a block cut short leaves nothing said.

    `starts_open`: the chat template has already written `<think>`, so that only its end is in the text.

    >>> split_thoughts("<think>Hm.</think>Yes")
    ('Yes', 'Hm.')
    >>> split_thoughts("Say <think> aloud")
    ('Say <think> aloud', None)
    """
    start = text.lstrip() if "<" in text else text
    if start.startswith(_OPEN):
        start = start[len(_OPEN) :]
    elif not (starts_open and _CLOSE in text):
        return text, None
    thought, _, said = start.partition(_CLOSE)
    return said.lstrip(), thought.strip() or None


def join_thoughts(*parts: str | None) -> str | None:
    """All the reasoning of one answer; None when there is none."""
    return "\n\n".join(part for part in parts if part) or None
