"""Trino's SQL for Spark: what the compiler leaves to an engine, in Spark's spelling."""
