"""What the contracts' implementations run against."""

from __future__ import annotations

from tests.s3_server import moto_server, s3_server

__all__ = ["moto_server", "s3_server"]
