"""How hard the stateful tests look: `HYPOTHESIS_PROFILE` is default, ci or nightly."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("default", _COMMON, max_examples=40, stateful_step_count=40)
settings.register_profile(
    "ci", _COMMON, max_examples=100, stateful_step_count=50, derandomize=True, print_blob=True
)
settings.register_profile("nightly", _COMMON, max_examples=3000, stateful_step_count=80)

PROFILE = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
"""What the machine runs with."""
