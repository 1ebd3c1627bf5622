"""The location of result files on S3. Plain data that wiring creates and workers receive."""

from __future__ import annotations

from dataclasses import dataclass

AWS_ENDPOINT = "https://s3.{region}.amazonaws.com"


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket and a prefix. Without an endpoint it is on AWS.

    `link_endpoint` replaces the endpoint in links, where clients know the store by another name.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    addressing: str = "path"
    """`path` (endpoint/bucket/key) or `virtual` (bucket.endpoint/key)."""
    link_endpoint: str = ""
