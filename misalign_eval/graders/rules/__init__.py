"""Graders that need no judge: pure functions of a reply and their options. `table.RULES` lists them."""

from misalign_eval.graders.rules.table import RULES, RuleInfo, apply, check_options, is_slow, names, prepare

__all__ = ["RULES", "RuleInfo", "apply", "check_options", "is_slow", "names", "prepare"]
