"""What every DuckDB instance of ours is started with: its limits, and nothing from outside."""

from __future__ import annotations

from typing import Any

from queryrun.engines.base import EngineLimits

ATTACHED = "data"
"""The name of a `.duckdb` file's database, whatever the file is called."""


def limited(limits: EngineLimits) -> dict[str, Any]:
    """DuckDB's settings for these limits. Extensions, secrets and Python variables stay out."""
    return {
        "memory_limit": f"{limits.memory_bytes // 1024}KiB",
        "threads": limits.threads,
        "temp_directory": limits.spill_dir,
        "max_temp_directory_size": f"{limits.spill_bytes // 1024}KiB",
        "autoload_known_extensions": False,
        "autoinstall_known_extensions": False,
        "allow_community_extensions": False,
        "allow_persistent_secrets": False,
        "python_enable_replacements": False,
        "errors_as_json": True,
    }
