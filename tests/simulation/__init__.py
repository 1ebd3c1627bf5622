"""A deterministic simulation of the core: several nodes on simulated time, network and workers.

The store's SQL, the dispatcher, attempts and the reaper are the real ones. Time, the way between
nodes and store, workers and their deaths are simulated, from a seed: the same seed gives the same
schedule and the same outcome. `python -m tests.simulation` runs many seeds, or replays one.
"""
