"""Attacks of a client that may see the rows of some orgs alone."""

from tests.attack.orgs import deliveries, facts, statements

__all__ = ["deliveries", "facts", "statements"]
