"""Trino's SQL for Spark: the compiler of `sql/trino` with Spark's spelling and semantics."""
