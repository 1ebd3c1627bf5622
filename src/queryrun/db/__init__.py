"""The stores on SQLite and PostgreSQL, and their migrations. No other package contains SQL."""
