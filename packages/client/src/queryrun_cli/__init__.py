"""The command line for users. Each command imports what it needs, so that `--help` is fast."""
