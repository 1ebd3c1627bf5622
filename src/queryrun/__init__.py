"""queryrun: a self-hosted service that runs SQL for others, and whose cancel means stopped."""


def __getattr__(name: str) -> str:
    """`__version__` is that of the installed distribution: pyproject.toml alone has it."""
    if name == "__version__":
        from importlib.metadata import version

        return version("queryrun")
    raise AttributeError(f"module 'queryrun' has no attribute {name!r}")
