"""The HTTP/1.1 server under the app: every byte of a stranger passes here first.

`head` and `body` are the language (pure, RFC 9112 and nothing beside it), `connection` and
`exchange` speak it on a socket, `connections` and `turns` bound what strangers may hold,
`proxies` says whose word about an address counts, `server` listens and stops.
"""
