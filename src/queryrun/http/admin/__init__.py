"""`/admin/v1`: tenants, entities, clients, sources and running statements."""
