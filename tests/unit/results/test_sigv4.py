"""Signatures: the published example, and botocore's own on requests made up by Hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import (
    Credentials as BotoCredentials,
)
from hypothesis import given
from hypothesis import strategies as st

from queryrun.results.sigv4 import (
    UNSIGNED,
    Credentials,
    Signer,
    UnsignedRequest,
    encoded,
    encoded_path,
)

EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
EXAMPLE_TIME = datetime(2013, 5, 24, tzinfo=UTC)
EXAMPLE_HOST = "examplebucket.s3.amazonaws.com"

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
plain = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
names = st.from_regex(r"[a-z][a-z-]{0,8}", fullmatch=True)


def test_the_example_of_a_get_with_a_range() -> None:
    """From the Amazon S3 API reference, "Signature calculations for the Authorization header"."""
    request = UnsignedRequest("GET", EXAMPLE_HOST, "/test.txt", headers={"Range": "bytes=0-9"})
    headers = Signer(EXAMPLE, "us-east-1").headers(request, EXAMPLE_TIME)
    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_the_example_of_a_list() -> None:
    """From the same page."""
    query = [("max-keys", "2"), ("prefix", "J")]
    headers = Signer(EXAMPLE, "us-east-1").headers(
        UnsignedRequest("GET", EXAMPLE_HOST, "/", query), EXAMPLE_TIME
    )
    assert headers["authorization"].endswith(
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    )


def test_the_example_of_a_link() -> None:
    """From "Authenticating requests: using query parameters"."""
    request = UnsignedRequest("GET", EXAMPLE_HOST, "/test.txt", payload_sha256=UNSIGNED)
    query = Signer(EXAMPLE, "us-east-1").link_query(request, EXAMPLE_TIME, 86400)
    assert parse_qs(query)["X-Amz-Signature"] == [
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    ]


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    key=texts,
    query=st.lists(st.tuples(names, texts), max_size=4, unique_by=lambda pair: pair[0]),
    headers=st.dictionaries(names.map(lambda name: f"x-amz-meta-{name}"), plain, max_size=3),
    token=st.none() | plain,
)
def test_botocore_signs_the_same(
    method: str,
    key: str,
    query: list[tuple[str, str]],
    headers: dict[str, str],
    token: str | None,
) -> None:
    credentials = Credentials("AKIDEXAMPLE", "secret/key+1", token)
    request = UnsignedRequest(method, "s3.test:9000", encoded_path("bucket", key), query, headers)
    ours = Signer(credentials, "eu-central-1").headers(request, EXAMPLE_TIME)
    assert ours["authorization"] == _signed_by_botocore(request, credentials)


def _signed_by_botocore(request: UnsignedRequest, credentials: Credentials) -> str:
    class Frozen(botocore.auth.S3SigV4Auth):  # type: ignore[misc]  # the same
        """At a fixed time; the hash of the body as S3 requires it, over http too."""

        def payload(self, request: Any) -> str:
            return "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

        def add_auth(self, request: Any) -> None:
            request.context["timestamp"] = EXAMPLE_TIME.strftime("%Y%m%dT%H%M%SZ")
            self._modify_request_before_signing(request)
            canonical = self.canonical_request(request)
            signature = self.signature(self.string_to_sign(request, canonical), request)
            self._inject_signature_to_request(request, signature)

    url = f"https://{request.host}{request.path}"
    query = encoded(request.query)
    sent = AWSRequest(request.method, url + (f"?{query}" if query else ""), dict(request.headers))
    boto = BotoCredentials(
        credentials.access_key_id, credentials.secret_access_key, credentials.session_token
    )
    Frozen(boto, "s3", "eu-central-1").add_auth(sent)
    return str(sent.headers["Authorization"])


def test_a_path_is_spelled_as_it_is_sent() -> None:
    assert encoded_path("bucket", "runs/a b+ü~.csv") == "/bucket/runs/a%20b%2B%C3%BC~.csv"
    assert encoded_path("", "x") == "/x"
    assert encoded_path("bucket", "") == "/bucket"


def test_secrets_do_not_show() -> None:
    rendered = repr(Signer(Credentials("id", "very-secret", "token-secret"), "us-east-1"))
    assert "very-secret" not in rendered
    assert "token-secret" not in rendered


@pytest.mark.parametrize("lifetime_s", [1, 604800])
def test_a_link_has_its_expiry_time(lifetime_s: int) -> None:
    request = UnsignedRequest("GET", EXAMPLE_HOST, "/x", payload_sha256=UNSIGNED)
    query = Signer(EXAMPLE, "r").link_query(request, EXAMPLE_TIME, lifetime_s)
    link = f"https://{EXAMPLE_HOST}/x?{query}"
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == [str(lifetime_s)]
