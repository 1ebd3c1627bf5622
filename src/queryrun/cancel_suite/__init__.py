"""The conformance suite of the cancel guarantee: seven classes, against any server by its URL.

It uses the HTTP interface and the process table and imports nothing of the service, so that it
cannot repeat a mistake of the service.
"""
