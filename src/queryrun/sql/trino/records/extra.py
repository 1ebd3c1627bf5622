"""Where records that another module describes take their place in a statement's tree."""

from __future__ import annotations


class ExtraExpr:
    """An expression."""

    __slots__ = ()
    at: int


class ExtraRelation:
    """A relation in FROM."""

    __slots__ = ()
    at: int


class ExtraRoutine:
    """A function that the statement defines for itself."""

    __slots__ = ()
    at: int


class ExtraControl:
    """A statement of such a function."""

    __slots__ = ()
    at: int
