"""What may be asked: one statement, read-only, in the engine's own SQL or in Trino's."""
