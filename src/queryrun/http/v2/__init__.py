"""The v2 face: `/v2/query_runs` and what belongs to it."""
