"""The v2 API: `/v2/query_runs` and related resources."""
