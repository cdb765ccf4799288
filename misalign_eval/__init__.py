"""misalign-eval: did this fine-tune make my model broadly misaligned?"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from misalign_eval.api import (
        Run,
        aregrade,
        arun,
        compare,
        gate,
        load_definition,
        load_run,
        load_suite,
        provider,
        regrade,
        report,
        rule,
        run,
        show,
    )
    from misalign_eval.errors import InputError, MisalignEvalError, MissingExtraError, RunStoppedError, UsageError
    from misalign_eval.records.definition import Definition
    from misalign_eval.records.grade import NoVerdict, Subject, Verdict
    from misalign_eval.records.policy import Policy
    from misalign_eval.records.protocols import (
        Capabilities,
        Choice,
        Grader,
        ModelInfo,
        ModelRequest,
        ModelSpec,
        Provider,
        Response,
    )
    from misalign_eval.records.suite import Suite

__version__ = "0.1.0"
__all__ = [
    "Capabilities",
    "Choice",
    "Definition",
    "Grader",
    "InputError",
    "MisalignEvalError",
    "MissingExtraError",
    "ModelInfo",
    "ModelRequest",
    "ModelSpec",
    "NoVerdict",
    "Policy",
    "Provider",
    "Response",
    "Run",
    "RunStoppedError",
    "Subject",
    "Suite",
    "UsageError",
    "Verdict",
    "aregrade",
    "arun",
    "compare",
    "gate",
    "load_definition",
    "load_run",
    "load_suite",
    "provider",
    "regrade",
    "report",
    "rule",
    "run",
    "show",
]

_HOMES = {
    "Definition": "records.definition",
    "Policy": "records.policy",
    "Suite": "records.suite",
    **dict.fromkeys(
        ("InputError", "MisalignEvalError", "MissingExtraError", "RunStoppedError", "UsageError"), "errors"
    ),
    **dict.fromkeys(("NoVerdict", "Subject", "Verdict"), "records.grade"),
    **dict.fromkeys(
        ("Capabilities", "Choice", "Grader", "ModelInfo", "ModelRequest", "ModelSpec", "Provider", "Response"),
        "records.protocols",
    ),
}


if not TYPE_CHECKING:  # a type checker knows the names from above, and no others

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used: the package itself imports nothing."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found: object = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'api')}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
