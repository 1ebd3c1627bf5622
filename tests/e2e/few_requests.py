"""`queryrun serve` whose smallest preset is so few requests a day that a test can use them up."""

from __future__ import annotations

from queryrun.http.rate_limits import API_PRESETS, Rates
from queryrun_cli.main import main

PER_DAY = 30
"""None comes back while a test runs."""

if __name__ == "__main__":
    API_PRESETS["api_sandbox"] = Rates.of(2_500, 5_000, PER_DAY)
    main()
