"""The embedded engine: DuckDB in the worker process itself."""
