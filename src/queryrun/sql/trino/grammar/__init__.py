"""Trino's grammar, read by precedence into records."""
