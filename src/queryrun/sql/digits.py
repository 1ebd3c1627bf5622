"""How many digits Python reads as one number: more would take quadratic time, and it refuses."""

from __future__ import annotations

import sys

TOO_MANY_DIGITS = f"A number has more than {sys.int_info.default_max_str_digits} digits"
_REFUSAL = "Exceeds the limit ("


def has_too_many_digits(error: ValueError) -> bool:
    """Whether `int` has refused a text for its length; the error has no type of its own."""
    return str(error).startswith(_REFUSAL)
