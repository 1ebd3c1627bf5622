"""Functions of Trino's that DuckDB lacks, in Python: the translator calls them `qr_…`."""
