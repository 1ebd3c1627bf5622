"""Trino's SQL in DuckDB's: spelling, casts, comparisons, and a form for each function."""
