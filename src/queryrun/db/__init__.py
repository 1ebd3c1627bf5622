"""SQL, and only here: the stores on SQLite, and the numbered migrations that shape them."""
