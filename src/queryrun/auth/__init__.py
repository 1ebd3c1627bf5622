"""Authentication: client, entity, principal, token. Knows nothing of runs."""
