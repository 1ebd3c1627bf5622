"""What a statement would read, from a process that sees one entity's data alone."""
