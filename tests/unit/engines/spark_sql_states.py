"""Spark's SQLSTATEs, from the list of its error conditions.

`python -m tests.unit.engines.spark_sql_states` rewrites spark_sql_states.txt, after
`make spark-server` has fetched a Spark.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

COMMITTED = Path(__file__).with_suffix(".txt")
JARS = Path(__file__).parents[3] / ".cache" / "spark" / "pyspark" / "jars"


def states_of_spark() -> list[str]:
    """Every SQLSTATE that an error of the fetched Spark has."""
    (jar,) = JARS.glob("spark-common-utils_*.jar")
    conditions = json.loads(zipfile.ZipFile(jar).read("error/error-conditions.json"))
    return sorted({one["sqlState"] for one in conditions.values() if "sqlState" in one})


if __name__ == "__main__":
    COMMITTED.write_text("\n".join(states_of_spark()) + "\n")
