"""Child processes that answer questions of the node: a folder each, client and process."""
