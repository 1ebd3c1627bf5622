"""Trino's language: tokens, grammar and records. It knows no types, no compiler and no engine."""
