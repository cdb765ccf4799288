"""Samples of Inspect logs that `export` wrote: what it keeps beside Inspect's own fields is read back."""

from collections.abc import Mapping
from typing import Any, cast, get_args

from misalign_eval.imports.cells import is_missing, number
from misalign_eval.imports.foreign import Foreign, Found, Kept, calls_of, end_of
from misalign_eval.records.grade import UngradedReason
from misalign_eval.records.reply import Finish
from misalign_eval.records.suite import Direction

DERIVED = frozenset({"misaligned", "outcome"})  # what the definition made of the grades: counted anew, never read
_FINISHES, _REASONS = frozenset(get_args(Finish)), frozenset(get_args(UngradedReason))


def is_ours(metadata: Mapping[str, Any]) -> bool:
    """Whether a sample's metadata are those that `export` writes."""
    return all(isinstance(metadata.get(name), str) for name in ("probe", "variant", "prompt_digest"))


def is_unpublished(metadata: Mapping[str, Any]) -> bool:
    """Whether it is a reply whose text nobody knows, which is no failure."""
    return is_ours(metadata) and metadata.get("text_published") is False


def mended(row: Foreign, metadata: Mapping[str, Any]) -> Foreign:
    """The row with the names that the run had: an id of Inspect names a prompt, not a probe."""
    if not is_ours(metadata):
        return row
    asked = row.asked._replace(probe=metadata["probe"], variant=metadata["variant"])
    word, tags = metadata.get("finish"), metadata.get("tags")
    finish = cast("Finish", word) if isinstance(word, str) and word in _FINISHES else row.finish
    return row._replace(
        asked=asked,
        finish=finish,
        tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
        kept=_kept(metadata, finish) if row.failure is None else Kept(),
        expect=cast("Direction", expect) if (expect := metadata.get("expect")) in get_args(Direction) else None,
        expects=expects if isinstance(expects := metadata.get("expects"), str) else None,
    )


def _kept(metadata: Mapping[str, Any], finish: Finish) -> Kept:
    """What graders, lint and warnings read besides the text. Raises BadCellError for calls that are none."""
    texts = {
        name: value for name in ("finish_word", "leaked", "refusal") if isinstance(value := metadata.get(name), str)
    }
    lists = {name: value for name in ("dropped", "prefilled") if isinstance(value := metadata.get(name), list)}
    return Kept(
        finish_word=end_of(finish, texts.get("finish_word"), metadata.get("attempts")),
        calls=calls_of(metadata.get("calls")),
        leaked=texts.get("leaked"),
        refusal=texts.get("refusal"),
        streamed=metadata.get("streamed") is True or None,
        **{name: tuple(map(str, value)) for name, value in lists.items()},
    )


def found(scorer: str, score: Mapping[str, Any], about: Mapping[str, Any]) -> Found:
    """A grade, word for word, with the judge and what it was made from; `about`: the metadata of the score."""
    identity, value = about["identity"], score.get("value")
    grade = Found(
        grader=scorer.removesuffix(f"@{identity}"),
        judge=about.get("judge") or f"rule {identity}",
        raw=about.get("raw"),
        distribution=about.get("distribution"),
        mass=about.get("number_mass"),
        modal=about.get("modal"),
    )
    why = score.get("explanation")
    if "ungraded" in about or is_missing(value):
        reason = about.get("ungraded")
        known = cast("UngradedReason", reason) if isinstance(reason, str) and reason in _REASONS else "not_given"
        return grade._replace(reason=known, message=why or "as exported")
    given = None if isinstance(value, str) else number(value)
    return grade._replace(score=given, label=None if given is not None else str(value), why=why)
