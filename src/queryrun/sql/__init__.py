"""What may be asked: one statement, read-only; later Trino's dialect to the engine's."""
