"""Every attack of the suite fails at the second level too: Landlock without any namespace."""

from __future__ import annotations

import pytest

from autograder.sandbox.process import LANDLOCK
from tests import test_attack_suite as first
from tests.attacks import suite, weakenings
from tests.attacks.suite import Attack, Outcome


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    return suite.run_ours(first.selected(request, test_it_fails), weakenings.second_level)


@pytest.mark.parametrize("attack", first.ATTACKS, ids=first.each)
def test_it_fails(outcomes: dict[str, Outcome], attack: Attack) -> None:
    outcome = outcomes[attack.name]
    assert outcome.report["level"] == LANDLOCK.name
    assert not attack.succeeded(outcome), outcome.report
    assert outcome.honest, "it cost somebody else points"
