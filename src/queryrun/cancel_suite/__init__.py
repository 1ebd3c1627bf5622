"""The conformance suite of the cancel guarantee: seven classes, against any server by its URL.

It knows the HTTP contract and the process table and imports nothing of the service, so that it
cannot share a mistake with it.
"""
