"""The settings that a Spark session needs for translated statements to mean what they should."""

from __future__ import annotations

SETTINGS = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.mapKeyDedupPolicy": "EXCEPTION",
    "spark.sql.caseSensitive": "false",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.variable.substitute": "false",
    "spark.sql.ansi.doubleQuotedIdentifiers": "false",
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    "spark.sql.timeType.enabled": "true",
    "spark.sql.legacy.followThreeValuedLogicInArrayExists": "true",
}
"""To be set on the session before the first statement: overflow and division by zero fail,
timestamps are read in UTC (the statement names every other zone), decimals keep their scale."""
