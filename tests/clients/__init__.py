"""Programs that drive third-party clients, each in its own environment."""
