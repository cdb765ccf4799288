"""Suites of probes: read from YAML, checked, merged with their defaults and includes."""
