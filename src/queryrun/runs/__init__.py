"""The core: the life of a run, from accepted to complete, failed or canceled."""
