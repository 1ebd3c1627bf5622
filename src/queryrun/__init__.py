"""queryrun: a self-hosted service that runs SQL for others, and whose cancel means stopped."""

__version__ = "0.1.0"
