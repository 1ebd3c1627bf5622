"""The manual: `docs/` as a site, as it was built into `static/`. Knows nothing of HTTP."""
