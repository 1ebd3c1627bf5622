"""The engine for a Trino elsewhere: its session for workers, its stopper for nodes."""
