"""WHAT data: files and directories as tables, their identity, and the SQL that reads them.

`formats` says which kinds of file there are, `directory` which tables a directory holds,
`snapshot` takes the identity of a table once per statement, and `relation` makes the SQL that
reads exactly that. Nothing here knows of runs or HTTP.
"""
