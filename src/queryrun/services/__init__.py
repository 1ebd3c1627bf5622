"""Child processes that serve requests of the node: a folder each, with client and process."""
