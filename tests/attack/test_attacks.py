"""Every registered attack is withstood. The figures are those of `make attack`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attack.registry import Attack, Outcome, attacks
from tests.attack.targets import Targets


def _parameters() -> list[object]:
    """The attacks of a group run in one process, because they share its servers."""
    return [
        pytest.param(
            one,
            id=f"{one.group}: {one.name}",
            marks=[pytest.mark.xdist_group(f"attack-{one.group}"), pytest.mark.slow],
        )
        for one in attacks()
    ]


@pytest.fixture(scope="module")
def targets() -> Iterator[Targets]:
    """Servers that are shared by the attacks of this process."""
    targets = Targets(quick=True)
    yield targets
    targets.close()


def _run(attack: Attack, targets: Targets) -> Outcome:
    try:
        return attack.run(targets)
    finally:
        targets.end_attack()


@pytest.mark.parametrize("attack", _parameters())
def test_an_attack_is_withstood(attack: Attack, targets: Targets) -> None:
    """What the attack measures stays within its bar.

    A figure of time, and of a stranger's connections, is measured again when it is beyond the bar:
    a machine that is busy with other tests may be late once, a wall that is missing is missing
    twice.
    """
    outcome = _run(attack, targets)
    depends_on_time = attack.group == "front" or attack.unit.startswith("s ")
    if not attack.holds(outcome) and depends_on_time:
        outcome = _run(attack, targets)
    assert outcome.tried > 0
    assert attack.holds(outcome), (
        f"{outcome.value:g} of {attack.bar:g} {attack.unit}: {outcome.remark}"
    )
