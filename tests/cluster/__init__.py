"""Several real nodes over one PostgreSQL and one bucket: what holds whichever of them dies."""
