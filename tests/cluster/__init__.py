"""Several real nodes over one PostgreSQL and one bucket: what holds when any of them dies."""
