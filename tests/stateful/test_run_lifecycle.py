"""The lives of runs on SQLite, as Hypothesis imagines them."""

from __future__ import annotations

from tests.stateful.conftest import PROFILE
from tests.stateful.sqlite_lifecycle import SqliteLifecycle

TestRunLifecycle = SqliteLifecycle.TestCase
TestRunLifecycle.settings = PROFILE
