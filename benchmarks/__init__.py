"""Measurements of a served home, over HTTP, side by side in one run. `make bench` runs them."""
