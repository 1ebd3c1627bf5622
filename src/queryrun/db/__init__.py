"""SQL, and only here: the stores on SQLite and PostgreSQL, and their migrations."""
