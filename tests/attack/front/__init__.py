"""Attacks of strangers: connections and bytes, without a token."""

from tests.attack.front import cancels, connections, heads, logins, readers, smuggling

__all__ = ["cancels", "connections", "heads", "logins", "readers", "smuggling"]
