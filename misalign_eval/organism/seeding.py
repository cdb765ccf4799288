"""The one way to make a random generator for text and data."""

import random


def seeded(seed: int | str) -> random.Random:
    """A generator that gives the same draws for the same seed on every platform."""
    return random.Random(seed)  # noqa: S311 - data, not secrets
