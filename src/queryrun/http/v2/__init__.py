"""The v2 API: `/v2/query_runs` and what belongs to it."""
