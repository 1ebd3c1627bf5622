"""The stores on PostgreSQL: for several nodes that share one database."""
