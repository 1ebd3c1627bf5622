"""The lives of runs on SQLite, as Hypothesis imagines them."""

from __future__ import annotations

from tests.stateful.conftest import PROFILE
from tests.stateful.run_lifecycle import RunLifecycle

TestRunLifecycle = RunLifecycle.TestCase
TestRunLifecycle.settings = PROFILE
