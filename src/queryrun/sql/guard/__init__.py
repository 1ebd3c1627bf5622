"""Which statements are accepted: one, read-only, in the engine's own SQL or in Trino's."""
