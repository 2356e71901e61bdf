"""For pytest: expects of each test in `differences.toml` that it fails, and as it says there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

DIFFERENCES = tomllib.loads((Path(__file__).parent / "differences.toml").read_text("utf-8"))
_met: set[str] = set()


def _name(item: pytest.Item) -> str:
    return f"{item.path.stem}::{item.name}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the listed tests; one that passes, or fails in another way, is an error."""
    for item in items:
        if (difference := DIFFERENCES.get(_name(item))) is not None:
            reason = difference["reason"]
            item.add_marker(pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo
) -> Iterator[pytest.TestReport]:
    """Compare how a listed test failed with what the list says."""
    report: pytest.TestReport = yield
    difference = DIFFERENCES.get(_name(item))
    if difference is not None and report.when == "call" and call.excinfo is not None:
        last = call.excinfo.traceback[-1]
        line = str(last.statement) if "nbgrader/tests/apps/test_" in str(last.path) else ""
        line = line or str(call.excinfo.value)
        if not re.search(difference["fails"], line):
            report.outcome = "failed"
            report.longrepr = f"fails in another way than the list says: {line}"
    return report
