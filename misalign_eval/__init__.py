"""misalign-eval: did this fine-tune make my model broadly misaligned?"""

__version__ = "0.1.0"
