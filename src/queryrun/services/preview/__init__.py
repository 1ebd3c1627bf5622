"""Previews of binary result files, from a process that a broken file may crash."""
