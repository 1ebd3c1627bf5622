"""Attacks of strangers: connections and bytes, without a token."""

from tests.attack.front import cancels, connections, generated, heads, logins, readers, smuggling

__all__ = ["cancels", "connections", "generated", "heads", "logins", "readers", "smuggling"]
