"""The operations of S3 that result files need, on one bucket below one prefix."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from queryrun.results.s3_permit import UploadPermit
from queryrun.results.s3http import RequestPolicy, S3Error, S3Http, S3Request, S3Response
from queryrun.results.s3location import AWS_ENDPOINT, S3Location
from queryrun.results.sigv4 import (
    UNSIGNED,
    Credentials,
    Signer,
    SignRequest,
    UnsignedRequest,
    encoded_path,
    sign_with,
    utc_now,
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    id: str
    initiated_time: datetime


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object in a listing."""

    key: str
    modified: datetime


class S3Bucket:
    """One bucket. Blocking and thread-safe. Every method raises `S3Error`."""

    def __init__(
        self,
        location: S3Location,
        credentials: Callable[[], Credentials] | None,
        policy: RequestPolicy | None = None,
        now: Callable[[], datetime] | None = None,
        *,
        sign: SignRequest | None = None,
        connect: Callable[[], socket.socket] | None = None,
    ) -> None:
        """`sign` signs the requests of whoever has no credentials, such as a worker; `connect`
        connects to the store for whoever may open no connection."""
        if sign is None:
            if credentials is None:
                raise ValueError("neither credentials nor somebody who has them")
            sign = sign_with(credentials, location.region, now or utc_now)
        self._location = location
        self._credentials = credentials
        self._now = now or utc_now
        endpoint = location.endpoint or AWS_ENDPOINT.format(region=location.region)
        self._http = S3Http(self._address(endpoint), sign, policy, connect)
        probe = _probe_policy(policy or RequestPolicy())
        self._probe_http = S3Http(self._address(endpoint), sign, probe, connect)
        self._link_base = self._address(location.link_endpoint or endpoint)

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()
        self._probe_http.close()

    def probe(self, key: str) -> None:
        """Store an empty object and delete it, each within seconds: no run starts meanwhile."""
        self._probe_http.send(S3Request("PUT", self._path(key)))
        self._probe_http.send(S3Request("DELETE", self._path(key)))

    # --- whole objects -----------------------------------------------------------------------

    def put(self, key: str, body: bytes | bytearray, headers: Mapping[str, str]) -> None:
        """Store a whole object, visible at once."""
        self._http.send(S3Request("PUT", self._path(key), headers=headers, body=body))

    def head(self, key: str) -> Mapping[str, str] | None:
        """The object's headers, or None when there is no such object."""
        try:
            return self._http.send(S3Request("HEAD", self._path(key))).headers
        except S3Error as error:
            if error.status == 404:
                return None
            raise

    def get(self, key: str, start: int, end: int, chunk_bytes: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`, which must be some. `FileNotFoundError`."""
        headers = {"range": f"bytes={start}-{end - 1}"}
        request = S3Request("GET", self._path(key), headers=headers)
        try:
            response, chunks = self._http.stream(request, chunk_bytes)
        except S3Error as error:
            if error.code == "NoSuchKey":
                raise FileNotFoundError(key) from error
            raise
        _require_range(response, start, end)
        return chunks

    def delete(self, key: str) -> None:
        """Remove the object, if there is one."""
        self._http.send(S3Request("DELETE", self._path(key)))

    def objects(self) -> Iterator[ListedObject]:
        """Every object below the prefix, in pages of 1,000."""
        token: str | None = None
        while True:
            more = [("continuation-token", token)] if token else []
            page = self._listing([("list-type", "2"), ("prefix", self._location.prefix), *more])
            for entry in page.iterfind("{*}Contents"):
                yield ListedObject(self._key(entry), _time(_text(entry, "LastModified")))
            token = page.findtext("{*}NextContinuationToken")
            if not token:
                return

    # --- multipart uploads -------------------------------------------------------------------

    def begin_upload(self, key: str, headers: Mapping[str, str]) -> str:
        """Begin a multipart upload; its id."""
        request = S3Request("POST", self._path(key), [("uploads", "")], headers)
        return _text(_parsed(self._http.send(request)), "UploadId")

    def put_part(self, upload: str, key: str, number: int, body: bytes | bytearray) -> str:
        """Store one part (1 to 10,000; all but the last at least 5 MiB); its ETag."""
        query = [("partNumber", str(number)), ("uploadId", upload)]
        response = self._http.send(S3Request("PUT", self._path(key), query, body=body))
        if not (etag := response.headers.get("etag")):
            raise S3Error("NoETag", response.status)
        return etag

    def complete_upload(self, upload: str, key: str, etags: Sequence[str]) -> None:
        """Make the parts one object, which becomes visible in one step."""
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in enumerate(etags, 1)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        headers = {"content-type": "application/xml"}
        request = S3Request("POST", self._path(key), [("uploadId", upload)], headers, body)
        response = _parsed(self._http.send(request))
        if response.tag.endswith("Error"):  # S3 may fail after status 200
            raise S3Error(response.findtext("{*}Code") or "InternalError", 500)

    def abort_upload(self, upload: str, key: str) -> None:
        """Release the space of the parts. Does nothing when there is no such upload."""
        try:
            self._http.send(S3Request("DELETE", self._path(key), [("uploadId", upload)]))
        except S3Error as error:
            if error.status != 404 or error.code == "NoSuchBucket":
                raise

    def uploads(self, key: str = "") -> Iterator[Upload]:
        """Unfinished uploads of all keys that begin with `key`, in pages of 1,000."""
        marks: list[tuple[str, str]] = []
        while True:
            prefix = ("prefix", self._location.prefix + key)
            page = self._listing([("uploads", ""), prefix, *marks])
            for entry in page.iterfind("{*}Upload"):
                initiated_time = _time(_text(entry, "Initiated"))
                yield Upload(self._key(entry), _text(entry, "UploadId"), initiated_time)
            if page.findtext("{*}IsTruncated") != "true":
                return
            marks = [
                ("key-marker", page.findtext("{*}NextKeyMarker") or ""),
                ("upload-id-marker", page.findtext("{*}NextUploadIdMarker") or ""),
            ]

    # --- links -------------------------------------------------------------------------------

    def link(self, key: str, lifetime_s: int) -> str | None:
        """A presigned GET link that is valid for `lifetime_s` seconds. Makes no request.

        None when the credentials expire earlier: a link expires with them; and without any.
        """
        if self._credentials is None:
            return None
        signer = Signer(self._credentials(), self._location.region)
        now = self._now() + self._http.offset
        if not signer.credentials.last_until(now + timedelta(seconds=lifetime_s)):
            return None
        base = urlsplit(self._link_base)
        request = UnsignedRequest("GET", base.netloc, self._path(key), payload_sha256=UNSIGNED)
        query = signer.link_query(request, now, lifetime_s)
        return f"{self._link_base}{request.path}?{query}"

    # --- uploads of others -------------------------------------------------------------------

    def upload_permit(self, key: str, headers: Mapping[str, str]) -> UploadPermit:
        """What a writer without credentials may ask to write this object. Makes no request.

        `headers` are those that the object gets. `ValueError` when this bucket has no credentials.
        """
        if self._credentials is None:
            raise ValueError("nobody without credentials can permit anything")
        sign = sign_with(self._credentials, self._location.region, self._now)
        return UploadPermit(self._http.host, self._path(key), headers, sign)

    # --- names -------------------------------------------------------------------------------

    def _listing(self, query: Sequence[tuple[str, str]]) -> ElementTree.Element:
        path = self._path("") if self._is_path_style else "/"
        return _parsed(self._http.send(S3Request("GET", path, query)))

    @property
    def _is_path_style(self) -> bool:
        return self._location.addressing == "path"

    def _address(self, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        host = parts.netloc if self._is_path_style else f"{self._location.bucket}.{parts.netloc}"
        return f"{parts.scheme}://{host}"

    def _path(self, key: str) -> str:
        bucket = self._location.bucket if self._is_path_style else ""
        return encoded_path(bucket, self._location.prefix + key if key else "")

    def _key(self, entry: ElementTree.Element) -> str:
        return _text(entry, "Key").removeprefix(self._location.prefix)


def _require_range(response: S3Response, start: int, end: int) -> None:
    """A store without ranges responds 200 with the whole object, which must not pass as a part."""
    announced = int(response.headers.get("content-length", "-1"))
    if announced != end - start or (response.status != 206 and start > 0):
        raise S3Error("RangeIgnored", response.status)


def _parsed(response: S3Response) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(response.body)  # noqa: S314 - our own store's, of bounded size
    except ElementTree.ParseError as error:
        raise S3Error("InvalidResponse", response.status) from error


def _text(entry: ElementTree.Element, name: str) -> str:
    text = entry.findtext(f"{{*}}{name}")
    if text is None:
        raise S3Error("InvalidResponse", 200)
    return text


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _probe_policy(policy: RequestPolicy) -> RequestPolicy:
    """A bucket that did not respond may do so again the next moment, and the next probe begins only
    when this one has ended."""
    return RequestPolicy(
        connect_timeout_s=min(policy.connect_timeout_s, 2.0),
        response_timeout_s=min(policy.response_timeout_s, 4.0),
        retry_delays_s=(0.0,),
    )
