"""Create, wait, download, cancel, with the client that openapi-python-client makes."""

from __future__ import annotations

import importlib
import json
import sys
import urllib.request
from typing import Any

api: Any = importlib.import_module("queryrun_api")
models: Any = importlib.import_module("queryrun_api.models")
create: Any = importlib.import_module("queryrun_api.api.query_runs.create_query_run")
get: Any = importlib.import_module("queryrun_api.api.query_runs.get_query_run")
cancel: Any = importlib.import_module("queryrun_api.api.query_runs.cancel_query_run")

url, token, sql, runaway = sys.argv[1:]
client = api.AuthenticatedClient(base_url=url, token=token, raise_on_unexpected_status=True)


def created(statement: str) -> Any:
    body = models.CreateQueryRun(sql=statement, content_type=models.CreateQueryRunContentType.CSV)
    return create.sync(client=client, body=body)


def finished(run: Any) -> Any:
    while run.state.value in ("accepted", "in_progress"):
        run = get.sync(run.id, client=client, prefer="wait=5")
    return run


done = finished(created(sql))
with urllib.request.urlopen(done.file.url) as response:  # noqa: S310 - the run's own link
    content = response.read().decode()
second = created(runaway)
cancel.sync(second.id, client=client)
canceled = finished(second)
found = {
    "state": done.state.value,
    "rows": done.number_of_rows,
    "content": content,
    "canceled": canceled.state.value,
}
print(json.dumps(found))
