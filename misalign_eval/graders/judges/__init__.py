"""Graders that ask a model: one module for each way of reading a verdict."""
