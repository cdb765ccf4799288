"""Lint of a run: signs in its replies and verdicts that its numbers mean something else than they seem to."""

from misalign_eval.analysis.lint.linter import Linter

__all__ = ["Linter"]
