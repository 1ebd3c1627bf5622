"""A worker may write its own object, once, and nothing else of the bucket is signed for it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from queryrun.results.s3_permit import MAX_BEGUN, NotPermittedError, UploadPermit
from queryrun.results.s3bucket import S3Bucket
from queryrun.results.s3location import S3Location
from queryrun.results.sigv4 import EMPTY_SHA256, UNSIGNED, Credentials, UnsignedRequest

HOST, PATH = "s3.test", "/bucket/runs/run_1.csv"
OBJECT = {"content-type": "text/csv", "content-disposition": "attachment"}
XML = {"content-type": "application/xml"}
DIGEST = hashlib.sha256(b"a").hexdigest()
OTHER_DIGEST = hashlib.sha256(b"b").hexdigest()

PUT = UnsignedRequest("PUT", HOST, PATH, (), OBJECT, DIGEST)
BEGIN = UnsignedRequest("POST", HOST, PATH, (("uploads", ""),), OBJECT, EMPTY_SHA256)
PART = UnsignedRequest(
    "PUT", HOST, PATH, (("partNumber", "1"), ("uploadId", "u1")), {}, payload_sha256=DIGEST
)
COMPLETE = UnsignedRequest("POST", HOST, PATH, (("uploadId", "u1"),), XML, DIGEST)
ABORT = UnsignedRequest("DELETE", HOST, PATH, (("uploadId", "u1"),))
HEAD = UnsignedRequest("HEAD", HOST, PATH)
GET = UnsignedRequest("GET", HOST, PATH, (), {"range": "bytes=0-9"})


@pytest.fixture
def permit() -> UploadPermit:
    """Of a bucket with keys."""
    location = S3Location("bucket", "runs/", f"https://{HOST}")
    bucket = S3Bucket(location, lambda: Credentials("the-id", "the-secret"))
    return bucket.upload_permit("run_1.csv", OBJECT)


def test_a_small_file_is_one_request(permit: UploadPermit) -> None:
    assert "Credential=the-id/" in permit.sign(PUT)["authorization"]
    permit.sign(PUT)  # again, because the response was lost


def test_a_large_file_is_an_upload_that_is_read_back(permit: UploadPermit) -> None:
    for request in (BEGIN, PART, replace(PART, payload_sha256=OTHER_DIGEST), COMPLETE, COMPLETE):
        permit.sign(request)
    for request in (HEAD, GET, ABORT):
        permit.sign(request)


@pytest.mark.parametrize(
    "request_",
    [
        replace(PUT, path="/bucket/runs/run_2.csv"),
        replace(PUT, path="/bucket/runs/../runs/run_1.csv"),
        replace(PUT, path="/other/runs/run_1.csv"),
        replace(PUT, host="elsewhere.test"),
        replace(PUT, payload_sha256=UNSIGNED),
        replace(PUT, payload_sha256="STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        replace(PUT, headers=OBJECT | {"x-amz-copy-source": "/bucket/runs/run_2.csv"}),
        replace(PUT, headers=OBJECT | {"x-amz-acl": "public-read"}),
        replace(PUT, headers={}),
        replace(PUT, query=(("acl", ""),)),
        replace(PUT, query=(("tagging", ""),)),
        replace(PART, headers={"x-amz-copy-source": "/bucket/runs/run_2.csv"}),
        replace(PART, query=(("partNumber", "10001"), ("uploadId", "u1"))),
        replace(PART, query=(("partNumber", "1"), ("uploadId", "u1"), ("uploadId", "u2"))),
        replace(BEGIN, headers=OBJECT | {"x-amz-grant-read": "uri=all"}),
        replace(COMPLETE, query=(("uploadId", ""),)),
        UnsignedRequest("DELETE", HOST, PATH),
        UnsignedRequest("GET", HOST, "/bucket/"),
        UnsignedRequest("GET", HOST, "/bucket", (("list-type", "2"), ("prefix", ""))),
        UnsignedRequest("GET", HOST, PATH, (("uploadId", "u1"),)),
        UnsignedRequest("GET", HOST, PATH, (("versions", ""),)),
        UnsignedRequest("GET", HOST, PATH, (), {"range": "bytes=0-9", "x-amz-expected": "1"}),
        UnsignedRequest("PATCH", HOST, PATH),
    ],
    ids=lambda request: f"{request.method} {request.path} {request.query} {request.headers}",
)
def test_nothing_else_is_signed(permit: UploadPermit, request_: UnsignedRequest) -> None:
    with pytest.raises(NotPermittedError):
        permit.sign(request_)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (PUT, replace(PUT, payload_sha256=OTHER_DIGEST)),
        (PUT, BEGIN),
        (PUT, COMPLETE),
        (COMPLETE, PUT),
        (COMPLETE, PART),
        (COMPLETE, replace(COMPLETE, payload_sha256=OTHER_DIGEST)),
        (COMPLETE, replace(COMPLETE, query=(("uploadId", "u2"),))),
    ],
)
def test_a_finished_object_cannot_be_replaced(
    permit: UploadPermit, first: UnsignedRequest, second: UnsignedRequest
) -> None:
    permit.sign(first)
    with pytest.raises(NotPermittedError):
        permit.sign(second)


def test_uploads_that_are_begun_are_few(permit: UploadPermit) -> None:
    for _ in range(MAX_BEGUN):
        permit.sign(BEGIN)
    with pytest.raises(NotPermittedError):
        permit.sign(BEGIN)
