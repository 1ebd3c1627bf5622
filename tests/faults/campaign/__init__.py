"""Every fault at every moment of a run's life, on both stores, in real processes: `make faults`."""
