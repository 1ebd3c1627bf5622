"""The record of who did what: entries, the chain of digests, and what a store must keep."""
