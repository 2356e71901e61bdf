"""What the threat model promises is held by tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
MODEL = (HERE.parent / "autograder" / "THREAT_MODEL.md").read_text("utf-8")


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_it_names_exists() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", MODEL)
    assert len(named) > 40
    assert MODEL.count("::test_") == len(named), "one is not written as `file.py::test_name`"
    missing = [f"{file}::{name}" for file, name in named if name not in names_in(HERE / file)]
    assert not missing


def test_every_family_of_attacks_is_named_and_no_other() -> None:
    folders = {path.parent.name for path in (HERE / "attacks").glob("*/*.py")}
    said = re.findall(r"Attack famil(?:y|ies):\s+(.+?)\.(?:\n|$)", MODEL, flags=re.DOTALL)
    assert {name for line in said for name in re.findall(r"`(\w+)`", line)} == folders


def test_every_rule_of_the_wall_has_its_place() -> None:
    numbers = {int(n) for n in re.findall(r"^\| (\d+) ", MODEL, flags=re.MULTILINE)}
    for words in re.findall(r"(?i)rules? ((?:\d+(?:, | and )?)+)", MODEL):
        numbers |= {int(n) for n in re.findall(r"\d+", words)}
    assert numbers >= set(range(1, 18))
