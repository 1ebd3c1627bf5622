"""The v1 API: `/query/jobs`, over the same runs as v2 (contract A6, A7, A8, A9, A10)."""
