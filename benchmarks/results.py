"""Result files, side by side: each format and compression against DuckDB's own `COPY`.

Every file is written by a process of its own (`result_case.py`), onto a disk with nothing left to
write. The variants of a group run in turn, and each round starts with the next of them, so that
other load on the machine affects all alike. Ratios are medians of the rounds' ratios, of time and
of CPU; the second stays valid on a machine with other load.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import httpx2 as httpx
from tests import s3_server

from benchmarks import table
from benchmarks.served import served

ROWS = int(os.environ.get("ROWS", "5000000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SQL = """
SELECT i AS id, 'A' || lpad((i % 100000)::VARCHAR, 8, '0') AS accountnumber,
  (i * 7919 % 1000000) / 100.0 AS balance, (i % 1000)::DECIMAL(18, 6) AS amount,
  DATE '2020-01-01' + (i % 1000)::INT AS day, i % 2 = 0 AS closed, hash(i) % 100000 AS h
FROM range({rows}) t(i)"""
COPY_OPTIONS = {
    "csv": "FORMAT csv, HEADER true",
    "json": "FORMAT json",
    "parquet": "FORMAT parquet",
}

Figures = dict[str, float]


@dataclass(frozen=True)
class Variant:
    """One way to write a file. `against` is the name of what its time is compared with."""

    name: str
    content_type: str = "csv"
    content_encoding: str = "none"
    bare: bool = False
    fsync: bool = False
    options: str = ""
    encryption_key: str | None = None
    s3: Mapping[str, Any] | None = None
    rows: int = ROWS
    table: str | None = None
    """A Parquet file whose rows are written, named `t`; without one they are computed."""
    against: str = ""
    bar: str = ""
    """What the ratio has to be, as text for the table."""
    _hidden: tuple[str, ...] = field(default=("name", "rows", "against", "bar", "_hidden"))

    def case(self, directory: str) -> dict[str, Any]:
        """The parameters of `result_case`."""
        parameters = {
            name: value for name, value in asdict(self).items() if name not in self._hidden
        }
        sql = "SELECT * FROM t" if self.table else SQL.format(rows=self.rows)
        return parameters | {"directory": directory, "sql": sql}


def measure() -> None:
    """Print the table of result files, then the one of downloads."""
    with _s3() as s3, _table() as path:
        groups = [_formats(), _from_table(path), _compressions(), _duckdbs_gzip(path)]
        groups += [_encryption(), _stores(s3)]
        rows = [row for group in groups for row in _measured(group)]
    head = ["file", "s", "CPU s", "peak MB", "file MB", "compared with", "ratio", "of CPU", "bar"]
    table.show(
        f"Result files of {ROWS:,} rows x 7 columns, medians of {ROUNDS} in turn", head, rows
    )
    _downloads()


# --- what is written ------------------------------------------------------------------------


def _formats() -> list[Variant]:
    variants = []
    for content_type, options in COPY_OPTIONS.items():
        bare = f"{content_type} by COPY"
        durable = f"{bare}, fsync"
        variants += [
            Variant(bare, content_type, bare=True, options=options),
            Variant(durable, content_type, bare=True, fsync=True, options=options),
            Variant(content_type, content_type, against=bare, bar="<= 1.05"),
        ]
    return [*variants, Variant("arrow", "arrow", against="parquet by COPY")]


def _compressions() -> list[Variant]:
    gzip = Variant("csv gzip", content_encoding="gzip", against="csv by COPY")
    return [
        Variant("csv by COPY", bare=True, options=COPY_OPTIONS["csv"]),
        gzip,
        Variant("csv zip", content_encoding="zip", against=gzip.name, bar="<= 1.2"),
        Variant("csv zstd", content_encoding="zstd", against=gzip.name),
        Variant("json gzip", "json", "gzip", against=gzip.name),
    ]


def _from_table(path: str) -> list[Variant]:
    """Rows that are read and not computed: here DuckDB's `COPY` itself keeps both cores busy."""
    variants = []
    for content_type in ("csv", "json"):
        bare = f"{content_type} of a table by COPY"
        options = COPY_OPTIONS[content_type]
        copy = Variant(bare, content_type, bare=True, options=options, table=path)
        ours = Variant(f"{content_type} of a table", content_type, table=path, against=bare)
        variants += [
            copy,
            replace(copy, name=f"{bare}, fsync", fsync=True),
            replace(ours, bar="<= 1.05"),
        ]
    return variants


def _duckdbs_gzip(path: str) -> list[Variant]:
    options = f"{COPY_OPTIONS['csv']}, COMPRESSION gzip"
    bare = "csv gzip of a table by COPY"
    ours = Variant("csv gzip of a table", content_encoding="gzip", table=path, against=bare)
    return [
        Variant(bare, bare=True, options=options, table=path),
        replace(ours, bar="<= 0.125"),
    ]


def _encryption() -> list[Variant]:
    key = public_key()
    return [
        Variant("csv for encryption"),
        Variant("csv encrypted", encryption_key=key, against="csv for encryption", bar="<= 1.10"),
        Variant("csv gzip for encryption", content_encoding="gzip"),
        Variant(
            "csv gzip encrypted",
            content_encoding="gzip",
            encryption_key=key,
            against="csv gzip for encryption",
            bar="<= 1.10",
        ),
    ]


def _stores(s3: Mapping[str, Any] | None) -> list[Variant]:
    if s3 is None:
        return []
    return [
        Variant("csv on disk"),
        Variant("csv on S3", s3=s3, against="csv on disk"),
        Variant("csv gzip on disk", content_encoding="gzip"),
        Variant("csv gzip on S3", content_encoding="gzip", s3=s3, against="csv gzip on disk"),
    ]


@contextmanager
def _table() -> Iterator[str]:
    """The rows as a Parquet file."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as directory:
        path = f"{directory}/t.parquet"
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({SQL.format(rows=ROWS)}) TO '{path}' (FORMAT parquet)")
        yield path


def public_key() -> str:
    """A fresh key of 2048 bits, as a caller would send it."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa.generate_private_key(65537, 2048).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@contextmanager
def _s3() -> Iterator[Mapping[str, Any] | None]:
    """A bucket on a server of this machine; None, and a message, when there is none."""
    if not s3_server.PROGRAM.exists():
        print("S3 is left out: `make s3-server` builds the server")
        yield None
        return
    with tempfile.TemporaryDirectory() as directory, s3_server.running(Path(directory)) as server:
        location, credentials = server.new_bucket(), asdict(s3_server.CREDENTIALS)
        yield {"location": asdict(location), "credentials": credentials}


# --- measuring ------------------------------------------------------------------------------


def _measured(group: list[Variant]) -> list[list[str]]:
    """One row per variant, after all rounds."""
    figures: dict[str, list[Figures]] = {variant.name: [] for variant in group}
    for number in range(ROUNDS):
        first = number % len(group)
        for variant in (*group[first:], *group[:first]):
            figures[variant.name].append(_write(variant))
    return [_row(variant, figures) for variant in group]


def _write(variant: Variant) -> Figures:
    """Write the file once, in a fresh process and a fresh directory, and remove it."""
    directory = tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR"))
    os.sync()
    try:
        command = [sys.executable, "-m", "benchmarks.result_case"]
        case = json.dumps(variant.case(directory))
        done = subprocess.run([*command, case], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        figures: Figures = json.loads(done.stdout)
        return figures
    finally:
        shutil.rmtree(directory)


def _row(variant: Variant, figures: dict[str, list[Figures]]) -> list[str]:
    own = figures[variant.name]
    medians = [_median(own, name) for name in ("seconds", "cpu_s", "peak_mb", "file_mb")]
    texts = [variant.name, *(f"{m:.2f}" for m in medians[:2]), *(f"{m:.0f}" for m in medians[2:])]
    if not variant.against:
        return [*texts, "", "", "", ""]
    other = figures[variant.against]
    ratios = [_ratio(own, other, name) for name in ("seconds", "cpu_s")]
    return [*texts, variant.against, *(f"{ratio:.2f}" for ratio in ratios), variant.bar]


def _ratio(own: list[Figures], other: list[Figures], name: str) -> float:
    """The median of the ratios of the rounds."""
    return statistics.median(a[name] / b[name] for a, b in zip(own, other, strict=True))


def _median(rounds: list[Figures], name: str) -> float:
    return statistics.median(one[name] for one in rounds)


def _downloads() -> None:
    """The speed of downloads by link."""
    with served() as server:
        run = server.submit_and_wait(SQL.format(rows=ROWS), "csv")
        speeds = [_download_mb_per_s(run["file"]["url"]) for _ in range(ROUNDS)]
    rows = [["csv, from disk through the service", f"{statistics.median(speeds):.0f}"]]
    table.show("Downloads", ["file", "MB/s"], rows)


def _download_mb_per_s(url: str) -> float:
    began, size_bytes = time.perf_counter(), 0
    with httpx.stream("GET", url, headers={"accept-encoding": "identity"}) as response:
        for chunk in response.iter_raw(1024 * 1024):
            size_bytes += len(chunk)
    return size_bytes / 1e6 / (time.perf_counter() - began)
