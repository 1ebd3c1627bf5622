"""What runs on the cluster under our names, read from the REST interface of Spark's web UI.

Spark Connect tells what became of operations, not whether their tasks have ended on the executors;
the UI does. Its address is an option of the source (`ui_url`).
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from queryrun.engines.base import WORK_PREFIX
from queryrun.engines.spark.said import Said, SparkError

MAX_ANSWER_BYTES = 32 * 1024**2
"""The UI keeps 1,000 jobs, of about a kilobyte each."""
NOT_FOUND = 404
_TAG = re.compile(rf"_Tag_({re.escape(WORK_PREFIX)}\S+)$")
Json = Mapping[str, Any]


class SparkUi:
    """The UI of one Connect server. Calls raise `SparkError`; all end by `deadline`."""

    def __init__(self, url: str, deadline: float) -> None:
        self._url = url
        self._deadline = deadline

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

    def _application(self) -> str:
        """The one that this UI belongs to."""
        for application in self._get("/applications"):
            return str(application["id"])
        raise SparkError(Said("UNAVAILABLE"))

    def _jobs(self, application: str, *states: str) -> Iterable[Json]:
        wanted = "&".join(f"status={state}" for state in states)
        jobs: list[Json] = self._get(f"/applications/{quote(application)}/jobs?{wanted}")
        return jobs

    def _has_tasks(self, application: str, stage: object) -> bool:
        tries = self._get(f"/applications/{quote(application)}/stages/{stage}?details=false")
        return any(one["numActiveTasks"] for one in tries)

    def _get(self, path: str) -> Any:
        bound_s = self._deadline - time.monotonic()
        if bound_s <= 0:
            raise SparkError(Said("DEADLINE_EXCEEDED"))
        request = urllib.request.Request(f"{self._url}/api/v1{path}")  # noqa: S310 - an option
        try:
            with urllib.request.urlopen(request, timeout=bound_s) as answer:  # noqa: S310
                return json.loads(answer.read(MAX_ANSWER_BYTES))
        except urllib.error.HTTPError as error:
            if error.code == NOT_FOUND:  # a stage that was never submitted, or long ago
                return []
            raise SparkError(Said("UNAVAILABLE")) from error
        except (OSError, ValueError) as error:
            raise SparkError(Said("UNAVAILABLE")) from error


def _names(job: Json) -> list[str]:
    return [found[1] for tag in job.get("jobTags", ()) if (found := _TAG.search(str(tag)))]
