"""A stand-in for a service that has only /query/jobs, on loopback.

It responds with documented shapes (contract A6, A7, A8, A9, D2), read in documents and recorded
from clients; it runs no SQL and is no proof that a particular service behaves so.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

BAD_CANCEL = "is not in accepted or in_progress status"
RESULT = b'{"id":1,"balance":230.0}\n{"id":2,"balance":null}\n'


@dataclass
class StandIn:
    """The service's memory. A job is `completed` on its second read, unless it is `slow`."""

    url: str = ""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)

    def submit(self, body: dict[str, Any], key: str | None) -> dict[str, Any]:
        if key in self.keys:
            return self.jobs[self.keys[key]]
        job = {
            "id": str(uuid4()),
            "query": body["query"],
            "useIndexJoin": False,
            "sourceData": body.get("sourceData", "LIVE"),
            "queryStatus": "accepted",
            "remainingRetries": 3,
            "retries": 3,
            "updatedOn": "2026-11-24T00:10:19.17Z",
            "createdOn": "2026-11-24T00:10:00.512Z",
            "createdBy": "1c7d3b4e-1111-4b6a-9a7e-5b8f2f7a0001",
        }
        self.jobs[str(job["id"])] = job
        if key:
            self.keys[key] = str(job["id"])
        return dict(job)

    def read(self, job_id: str) -> dict[str, Any]:
        job = self.jobs[job_id]
        if job["queryStatus"] == "in_progress" and "slow" not in job["query"]:
            self._finish(job)
        elif job["queryStatus"] == "accepted":
            job["queryStatus"] = "in_progress"
        return job

    def _finish(self, job: dict[str, Any]) -> None:
        if "acount" in job["query"]:
            message = "Table 'owl.data.acount' does not exist"
            job.update(queryStatus="failed", errorMessage=message, remainingRetries=0)
            return
        link = f"{self.url}/files/{job['id']}_1833251171549653.json?signature=s"
        job.update(queryStatus="completed", dataFile=link, outputRows=2, processingTime=6519)


@contextmanager
def v1_stand_in() -> Iterator[StandIn]:
    """The stand-in, stopped with the block."""
    service = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(service: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._received(None)
            url = urlsplit(self.path)
            job_id = url.path.rpartition("/")[2]
            if url.path.startswith("/files/"):
                self._send(200, RESULT, "application/json")
            elif url.path == "/query/jobs":
                self._json(200, {"data": self._listed(parse_qs(url.query))})
            elif job_id in service.jobs:
                self._json(200, {"data": service.read(job_id)})
            else:
                self._json(404, {"code": 404, "message": "Job not found"})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/oauth/token":
                self._received(None)
                self._json(200, {"access_token": "f" * 32, "expires_in": 3599})
                return
            body = json.loads(raw)
            self._received(body)
            if body["outputFormat"] not in ("JSON", "CSV", "TSV", "DSV"):
                self._json(400, {"code": 400, "message": "Unable to process JSON"})
                return
            self._json(200, {"data": service.submit(body, self.headers["idempotency-key"])})

        def do_DELETE(self) -> None:
            self._received(None)
            job = service.jobs[self.path.rpartition("/")[2]]
            if job["queryStatus"] not in ("accepted", "in_progress"):
                self._json(400, {"code": 400, "message": f"Job {job['id']} {BAD_CANCEL}"})
                return
            job["queryStatus"] = "cancelled"
            self._json(200, {"data": job})

        def _listed(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
            expected = query.get("queryStatus", [""])[0]
            newest = list(reversed(service.jobs.values()))
            found = [job for job in newest if expected in ("", job["queryStatus"])]
            return found[: int(query["pageSize"][0])]

        def _received(self, body: Any) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            service.seen.append((self.command, urlsplit(self.path).path, headers, body))

        def _json(self, status: int, content: Any) -> None:
            self._send(status, json.dumps(content).encode(), "application/json")

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler
