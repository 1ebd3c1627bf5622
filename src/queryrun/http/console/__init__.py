"""The console over HTTP: its page, its files, and the sessions of the people who use it."""
