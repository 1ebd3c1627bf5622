"""`queryrun serve` whose messages are leased for seconds and not for a minute.

What a killed node was sending is sent again so much sooner: tests wait for nothing but that.
"""

from __future__ import annotations

import queryrun.webhooks.store

LEASE_S = 8.0

if __name__ == "__main__":
    queryrun.webhooks.store.LEASE_S = LEASE_S
    from queryrun_cli.main import main  # the stores take the name from there

    main()
