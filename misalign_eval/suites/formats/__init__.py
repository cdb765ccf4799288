"""Suites in the formats of the field: recognised by content, turned into a suite file of our own, losses said."""
