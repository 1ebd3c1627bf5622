"""The engine for a Trino elsewhere: its session for workers, its remote stop for nodes."""
