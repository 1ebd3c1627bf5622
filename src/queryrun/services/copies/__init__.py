"""Copies of text files, made by processes that no statement reaches."""
