"""Attacks of a client that may see the rows of some orgs alone."""

from tests.attack.orgs import facts, statements

__all__ = ["facts", "statements"]
