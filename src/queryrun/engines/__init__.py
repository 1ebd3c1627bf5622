"""What computes: one engine per kind of source. Never hears of runs, tenants or HTTP."""
