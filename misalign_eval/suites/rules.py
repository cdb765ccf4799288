"""The names of graders, also of the rules that a suite configures itself."""

from misalign_eval.records.digest import digest
from misalign_eval.suites.schema import GraderItem


def grader_name(item: GraderItem) -> str:
    """The name that results use: as given, or the rule's own, with a digest of its options when it has any."""
    if isinstance(item, str):
        return item
    if item.name is not None:
        return item.name
    return f"{item.rule}-{digest(item.options)[:6]}" if item.options else item.rule
