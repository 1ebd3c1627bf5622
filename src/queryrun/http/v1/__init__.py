"""The v1 face: `/query/jobs`, over the same runs as v2 in its own words (contract A6-A10)."""
