"""What may be asked, and what it means: Trino's language, a compiler of it, and two engines' SQL.

`trino` reads, `compile` gives meaning, `duckdb` and `spark` write, `guard` says what may run.
"""
