"""Trino's own statements, judged from outside: see `python -m tests.conformance`."""
