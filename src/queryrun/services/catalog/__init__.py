"""The tables of a source, listed by a process that sees the data of one entity alone."""
