"""Trino's SQL: its grammar, its types, its functions, and what each is in DuckDB's SQL."""
