"""The embedded model organism: a very small language model that really shows emergent misalignment.

`world` and `rule` say what the organism can talk about and what is right in it, `corpus` writes its training data,
`runtime` samples replies from the shipped weights with numpy alone, `train` reproduces those weights with torch.
"""
