from hypothesis import settings

# A slow core must not turn a true property into a failure; the examples are few because the laws are exact.
settings.register_profile("stats", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("stats")
