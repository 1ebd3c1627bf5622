"""Nodes that start at the same moment on an empty database."""

from __future__ import annotations

import threading

from queryrun.db.postgres.connect import connect, conninfo_of
from queryrun.db.postgres.migrate import migrate_postgres
from tests.postgres_server import PostgresServer
from tests.postgres_server import postgres_server as postgres_server  # a fixture

NODES = 4


def test_one_node_creates_the_schema_and_the_others_use_it(postgres_server: PostgresServer) -> None:
    """A lookup that caches the table as missing would create it a second time, and fail."""
    name = postgres_server.new_database()
    conninfo = conninfo_of(postgres_server.url(name))
    gate, failures = threading.Barrier(NODES), list[BaseException]()

    def start() -> None:
        with connect(conninfo, durable=True) as connection:
            gate.wait()
            try:
                migrate_postgres(connection)
            except BaseException as error:
                failures.append(error)

    nodes = [threading.Thread(target=start) for _ in range(NODES)]
    for node in nodes:
        node.start()
    for node in nodes:
        node.join()
    postgres_server.drop_database(name)
    assert failures == []
