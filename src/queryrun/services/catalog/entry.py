"""The catalog process with the engines of the registry."""

from __future__ import annotations

import socket
from typing import NoReturn

from queryrun.engines.base import Catalog
from queryrun.engines.source_spec import SourceSpec
from queryrun.services.catalog.process import run_catalog


def main(control: socket.socket) -> NoReturn:
    """The entry point: list the tables of a real source."""
    run_catalog(control, open_catalog)


def open_catalog(source: SourceSpec) -> Catalog:
    """The tables of a source (`process.OpenCatalog`)."""
    return source.kind.open_catalog(source.options, source.secret_text)
