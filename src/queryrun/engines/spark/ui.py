"""What runs on the cluster under our names, and its end, through Spark's web UI.

Spark Connect tells what became of operations, not of their jobs and of the tasks on executors; the
UI's REST interface does, and the UI can end a job. Its address is an option of the source
(`ui_url`).
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from queryrun.engines.base import WORK_PREFIX
from queryrun.engines.spark.error_details import SparkError, SparkErrorDetails

MAX_RESPONSE_BYTES = 32 * 1024**2
"""The UI keeps 1,000 jobs, of about a kilobyte each."""
_NOTHING = {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.FOUND, http.HTTPStatus.SEE_OTHER}
_TAG = re.compile(rf"_Tag_({re.escape(WORK_PREFIX)}\S+)$")
_OPERATION_THREAD = re.compile(r"SparkConnectExecuteThread_opId=(.+)")
_PLANNING_THREAD = re.compile(
    r"(?:QueryStageCreator|shuffle-exchange|broadcast-exchange|subquery|dynamicpruning)-\d+"
    r"|dag-scheduler-event-loop|spark-listener-group-appStatus"
)
"""Spark's names of the threads that submit jobs: `ExecuteThreadRunner`, `AdaptiveSparkPlanExec`,
`ShuffleExchangeExec`, `BroadcastExchangeExec`, `SubqueryExec`, `SubqueryBroadcastExec`; of the one
that begins a job which they have submitted (`DAGScheduler`: on a busy machine 0.2 s later), and of
the one that then tells the UI of it (`LiveListenerBus`)."""
_ACTIVE = {"RUNNABLE", "BLOCKED"}
"""One that waits has nothing to do, or waits for a job that it has submitted."""
_FORM_TOKEN = re.compile(rb'name="csrfToken" value="([^"]+)"')
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
Json = Mapping[str, Any]


class SparkUi:
    """The UI of one Connect server. Calls raise `SparkError`; all end by `deadline`."""

    def __init__(self, url: str, deadline: float) -> None:
        self._at = urlsplit(url)
        self.deadline = deadline
        self.slowest_s = 0.0
        """How long the slowest response has taken so far."""

    def running_names(self) -> list[str]:
        """The names of our work that has a job running now."""
        jobs = self._jobs(self._application(), "running")
        return sorted({name for job in jobs for name in _names(job)})

    def is_idle(self, name: str) -> bool:
        """Whether no job of this name runs, and no task of its ended ones any more."""
        application = self._application()
        for job in self._jobs(application, "running", "unknown", "failed"):
            if name in _names(job):
                if job["status"] != "FAILED":
                    return False
                if any(self._has_tasks(application, stage) for stage in job["stageIds"]):
                    return False
        return True

    def kill(self, name: str) -> None:
        """Ask for the end of each job of this name that runs, as the UI's own page does.

        Needs `spark.ui.killEnabled`, which is Spark's default, and no rights where the UI asks for
        none. The form carries a token since Spark 4.2.
        """
        for job in self._jobs(self._application(), "running", "unknown"):
            if name in _names(job):
                token = _FORM_TOKEN.search(self._send("GET", "/jobs/"))
                form = {"id": str(job["jobId"]), "csrfToken": token[1].decode() if token else ""}
                self._send("POST", "/jobs/job/kill/", form)

    def is_submitting(self, operations: Collection[str]) -> bool:
        """Whether a thread of the driver may be about to submit a job of one of these operations.

        The threads that plan stages are shared, so this may be true for the sake of others, and is
        false a moment later. False as well when the UI tells no threads: then a pause has to do.
        """
        try:
            threads = self._get(f"/applications/{self._application()}/executors/driver/threads")
        except SparkError:
            return False
        return any(_may_submit(thread, operations) for thread in threads)

    def _application(self) -> str:
        """The one that this UI belongs to."""
        for application in self._get("/applications"):
            return str(application["id"])
        raise SparkError(SparkErrorDetails("UNAVAILABLE"))

    def _jobs(self, application: str, *states: str) -> Iterable[Json]:
        query = "&".join(f"status={state}" for state in states)
        jobs: list[Json] = self._get(f"/applications/{quote(application)}/jobs?{query}")
        return jobs

    def _has_tasks(self, application: str, stage: object) -> bool:
        attempts = self._get(f"/applications/{quote(application)}/stages/{stage}?details=false")
        return any(one["numActiveTasks"] for one in attempts)

    def _get(self, path: str) -> Any:
        """What the REST interface says; empty for a stage that is not there (any more)."""
        try:
            return json.loads(self._send("GET", f"/api/v1{path}") or b"[]")
        except ValueError as error:
            raise SparkError(SparkErrorDetails("UNAVAILABLE")) from error

    def _send(self, method: str, path: str, form: Mapping[str, str] | None = None) -> bytes:
        """The body of a response; empty for a redirect, and for what does not exist."""
        began_s = time.monotonic()
        try:
            with closing(self._connection()) as connection:
                body = urlencode(form) if form else None
                connection.request(method, f"{self._at.path}{path}", body, _FORM if form else {})
                response = connection.getresponse()
                content = response.read(MAX_RESPONSE_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise SparkError(SparkErrorDetails("UNAVAILABLE")) from error
        self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
        if response.status == http.HTTPStatus.OK:
            return content
        if response.status in _NOTHING:
            return b""
        raise SparkError(SparkErrorDetails("UNAVAILABLE"))

    def _connection(self) -> http.client.HTTPConnection:
        bound_s = self.deadline - time.monotonic()
        if bound_s <= 0:
            raise SparkError(SparkErrorDetails("DEADLINE_EXCEEDED"))
        is_secure = self._at.scheme == "https"
        kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
        return kind(self._at.hostname or "", self._at.port, timeout=bound_s)


def _may_submit(thread: Json, operations: Collection[str]) -> bool:
    name = str(thread["threadName"])
    if (found := _OPERATION_THREAD.fullmatch(name)) is not None:
        return found[1] in operations
    return bool(_PLANNING_THREAD.fullmatch(name)) and thread["threadState"] in _ACTIVE


def _names(job: Json) -> list[str]:
    return [found[1] for tag in job.get("jobTags", ()) if (found := _TAG.search(str(tag)))]
