"""What a program writes to a terminal, read from the other side."""

import os
import select


def all_from(terminal: int) -> bytes:
    """Everything until the program closes its side. Waits 100 s for each piece."""
    pieces = []
    while select.select([terminal], [], [], 100)[0]:
        try:
            if not (some := os.read(terminal, 65536)):
                break
        except OSError:  # Linux says so when the other side has closed
            break
        pieces.append(some)
    return b"".join(pieces)
