"""The console: the web page for people, as it was built into `static/`. Knows nothing of HTTP."""
