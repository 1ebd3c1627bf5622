"""The syntax tree: plain records, a module for each part of the language."""
