"""Every attack of the suite fails here, and succeeds where its defense is off."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from autograder.sandbox import cgroups
from tests.attacks import suite
from tests.attacks.suite import Attack, Outcome

ATTACKS = suite.attacks()
WEAKENINGS = {a.control_name: a.control for a in ATTACKS if callable(a.control)}


def each(attack: Attack) -> str:
    return f"{attack.family}/{attack.name}"


def selected(request: pytest.FixtureRequest, test: Callable[..., None]) -> list[Attack]:
    """Return the attacks that this run of pytest asks `test` about."""
    items = [item for item in request.session.items if getattr(item, "function", None) is test]
    return [item.callspec.params["attack"] for item in items]  # type: ignore[attr-defined]


def skip_without_cgroups(attack: Attack) -> None:
    """Skip the test of an attack that only control groups stop, where none can be made."""
    if attack.needs_cgroups and (refused := cgroups.places()[1]):
        pytest.skip(f"no control groups to use here: {refused}")


@pytest.fixture(scope="module")
def ours(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    return suite.run_ours(selected(request, test_it_fails))


@pytest.fixture(scope="module")
def stock(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    chosen = selected(request, test_it_succeeds_in_nbgrader)
    with ThreadPoolExecutor(2) as threads:
        halves = threads.map(suite.run_stock, (chosen[::2], chosen[1::2]))
        return {name: outcome for half in halves for name, outcome in half.items()}


@pytest.fixture(scope="module")
def weakened(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    found = {}
    asked = selected(request, test_it_succeeds_without_its_defense)
    for weakening in WEAKENINGS.values():
        chosen = [attack for attack in asked if attack.control is weakening]
        found.update(suite.run_ours(chosen, weakening))
    return found


@pytest.mark.parametrize("attack", ATTACKS, ids=each)
def test_it_fails(ours: dict[str, Outcome], attack: Attack) -> None:
    skip_without_cgroups(attack)
    outcome = ours[attack.name]
    assert not attack.succeeded(outcome), outcome.report
    assert outcome.honest, "it cost somebody else points"


@pytest.mark.control
@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.control == "nbgrader"], ids=each)
def test_it_succeeds_in_nbgrader(stock: dict[str, Outcome], attack: Attack) -> None:
    assert attack.succeeded(stock[attack.name])


@pytest.mark.control
@pytest.mark.parametrize("attack", [a for a in ATTACKS if callable(a.control)], ids=each)
def test_it_succeeds_without_its_defense(weakened: dict[str, Outcome], attack: Attack) -> None:
    if attack.needs_root and os.geteuid() != 0:
        pytest.skip("only root may do this outside a sandbox")
    assert attack.succeeded(weakened[attack.name]), weakened[attack.name].report


def test_there_are_many_in_families() -> None:
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
