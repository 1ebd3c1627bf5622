"""`queryrun shell`: statements and commands, read from a terminal or a pipe, one after the other.

`loop.py` is its front: it reads entries and gives each to `session.py`. A statement is run by
`execute.py`, a command that begins with a backslash by its entry of `meta.py`. Only `prompt.py`
knows the terminal; `completion.py` and `underline.py` are texts in and texts out.
"""
