"""The one reader of YAML files: strict, bounded, and able to say on which line each value stands.

`load` reads a file, `parse` checks it against a record. Only `true`, `false`, `null` and plain decimal numbers are
typed; every other word that some YAML reader would turn into a boolean, number or date is an error that says to quote
it. So are duplicate keys, tags, keys that are no text, and files that are too large, too deep or expand too far.
"""

from misalign_eval.yaml_source.document import Document, load, loads, read_at_most
from misalign_eval.yaml_source.validate import NOT_BLANK, YamlFault, check, merged, parse

__all__ = ["NOT_BLANK", "Document", "YamlFault", "check", "load", "loads", "merged", "parse", "read_at_most"]
