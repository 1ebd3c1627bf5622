"""The client in a real kernel of Jupyter: what a cell shows, and what an interrupt of it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import Empty
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

from tests.e2e.conftest import RUNAWAY, Server

Serve = Callable[..., Server]
WAIT_S = 60.0
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def kernel() -> Iterator[tuple[Any, Any]]:
    manager, client = start_new_kernel(startup_timeout=WAIT_S, kernel_name="python3")
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def messages(client: Any, request: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a cell publishes, until it has ended."""
    while True:
        try:
            message = client.get_iopub_msg(timeout=WAIT_S)
        except Empty:
            raise AssertionError("the kernel says nothing") from None
        if message["parent_header"].get("msg_id") != request:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            return
        yield kind, content


def run_cell(client: Any, code: str) -> list[tuple[str, dict[str, Any]]]:
    return list(messages(client, client.execute(code)))


def test_a_cell_shows_progress_and_an_interrupt_cancels_the_run(
    serve: Serve, kernel: tuple[Any, Any]
) -> None:
    server = serve()
    manager, client = kernel
    issued = server.made.issued
    arguments = f"{server.url!r}, {issued.client.id!r}, {issued.secret!r}"
    assert not run_cell(client, "1;")[2:]
    found = run_cell(
        client,
        f"from queryrun_client import Client\nclient = Client({arguments})\n"
        "run = client.submit(\"SELECT '<b>' AS a\").wait()\nrun",
    )
    kinds = [kind for kind, _ in found]
    assert "display_data" in kinds, found
    html = next(c["data"]["text/html"] for kind, c in found if kind == "execute_result")
    assert "complete" in html
    assert "&lt;b&gt;" in html

    request = client.execute(f"run = client.submit({RUNAWAY!r})\nrun.wait()")
    error = None
    for kind, content in messages(client, request):
        if "in_progress" in str(content.get("data", {}).get("text/html")):
            manager.interrupt_kernel()
        error = content if kind == "error" else error
    assert error is not None
    assert error["ename"] == "KeyboardInterrupt"
    newest = server.http.get("/v2/query_runs").json()["data"][0]
    assert newest["state"] == "canceled"
