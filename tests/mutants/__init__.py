"""The mutation run: the guarantee is broken on purpose, one mechanism at a time."""
