"""Worker process of the rule `regex`: JSON lines in, spans of matches or [] out. Imports nothing of ours."""

import json
import re
import signal
import sys

SPARE_S = 5


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if hasattr(signal, "alarm"):  # ends this process even in mid-search, should the one that asked be gone
            signal.alarm(int(asked["limit_s"]) + SPARE_S)
        pattern = re.compile(asked["pattern"], asked["flags"])
        match = pattern.fullmatch(asked["text"]) if asked["whole"] else pattern.search(asked["text"])
        sys.stdout.buffer.write(json.dumps(match.span() if match else []).encode() + b"\n")
        sys.stdout.buffer.flush()
        if hasattr(signal, "alarm"):
            signal.alarm(0)


if __name__ == "__main__":
    main()
