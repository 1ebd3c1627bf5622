"""Where in the world of S3 result files lie. Plain data: wiring makes it, workers get it."""

from __future__ import annotations

from dataclasses import dataclass

AWS_ENDPOINT = "https://s3.{region}.amazonaws.com"


@dataclass(frozen=True, slots=True)
class S3Location:
    """Where result files lie. Without an endpoint it is AWS's own.

    `link_endpoint` is what links start with, where clients know the store by another name.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    addressing: str = "path"
    """`path` (endpoint/bucket/key) or `virtual` (bucket.endpoint/key)."""
    link_endpoint: str = ""
