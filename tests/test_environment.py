"""One set of versions, one Python, one command: what describes them cannot come apart."""

from __future__ import annotations

import importlib.metadata
import os
import re
import stat
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from autograder import doctor

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
JOB = WORKFLOW["jobs"]["test"]


def requirements(name: str) -> list[str]:
    lines = (ROOT / name).read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def conda_python() -> str:
    (pin,) = [d for d in ENVIRONMENT["dependencies"] if str(d).startswith("python")]
    return pin.removeprefix("python=")


# environment.yml


def test_conda_gives_python_and_pip_and_nothing_else() -> None:
    *conda, pip = ENVIRONMENT["dependencies"]
    assert conda == [f"python={conda_python()}", "pip"]
    assert list(pip) == ["pip"]
    assert ENVIRONMENT["channels"] == ["conda-forge", "nodefaults"]


def test_pip_installs_the_lock_and_this_repository_and_no_version_of_its_own() -> None:
    assert ENVIRONMENT["dependencies"][-1]["pip"] == ["-r requirements.lock", "-e ."]
    assert (ROOT / "requirements.lock").is_file()


# The lock


def test_the_lock_pins_each_package_once_and_exactly() -> None:
    lines = requirements("requirements.lock")
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    names = [canonicalize_name(line.split("==")[0]) for line in lines]
    assert len(names) == len(set(names))


def test_the_lock_holds_what_the_direct_dependencies_pull_in_and_nothing_more() -> None:
    locked = {canonicalize_name(line.split("==")[0]) for line in requirements("requirements.lock")}
    needed: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = [Requirement(line) for line in requirements("requirements.in")]
    while queue:
        requirement = queue.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        needed.add(key[0])
        for line in importlib.metadata.requires(requirement.name) or []:
            further = Requirement(line)
            extras = ["", *requirement.extras]
            if further.marker is None or any(further.marker.evaluate({"extra": e}) for e in extras):
                # A machine with CUDA has packages that no CPU machine resolves: see the lock.
                if further.name.startswith(("nvidia-", "triton", "cuda-")):
                    continue
                queue.append(further)
    assert locked == needed


def test_this_environment_is_the_locked_one() -> None:
    check = doctor._packages(ROOT / "requirements.lock")
    assert check.ok, check.detail


def test_the_lock_is_the_only_place_with_versions() -> None:
    assert [line for line in requirements("requirements.in") if re.search(r"[=<>~]", line)] == []
    assert PROJECT["project"]["dynamic"] == ["dependencies"]


# One Python


def test_conda_ci_and_the_tools_mean_the_oldest_supported_python() -> None:
    python = conda_python()
    supported = SpecifierSet(PROJECT["project"]["requires-python"])
    major, minor = map(int, python.split("."))
    assert supported.contains(python)
    assert not supported.contains(f"{major}.{minor - 1}")
    steps = [step["with"] for step in JOB["steps"] if "setup-python" in step.get("uses", "")]
    assert [step["python-version"] for step in steps] == [python]
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py{major}{minor}"
    assert PROJECT["tool"]["mypy"]["python_version"] == python
    assert (major, minor) == doctor.OLDEST
    makefile = (ROOT / "Makefile").read_text()
    assert makefile.count(f"sys.version_info < ({major}, {minor})") == 2
    assert f"PYTHON:-python{python} " in makefile


# CI


def test_ci_runs_the_two_commands_of_the_readme() -> None:
    runs = [step["run"] for step in JOB["steps"] if "run" in step]
    assert runs[-2:] == ["make test", "make demo"]
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_text().splitlines()[-1] == "make test"


def test_ci_may_only_read_ends_in_time_and_runs_actions_that_cannot_change() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is True
    assert JOB["timeout-minutes"] <= 60
    used = [step["uses"] for step in JOB["steps"] if "uses" in step]
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) for action in used)


# make


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
    )


def test_make_alone_explains_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)", text, re.MULTILINE)
    done = make(ROOT)
    assert done.returncode == 0
    assert [line.split()[1] for line in done.stdout.splitlines()] == phony.split()
    assert max(map(len, done.stdout.splitlines())) <= 100


STUB = """\
#!/usr/bin/env bash
# Plays a Python: says it is new enough, makes an environment with itself in it, and notes the rest.
case "$*" in
  -c*) exit 0;;
  --version) echo "Python 3.11.0";;
  "-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; echo "$*" >> calls;;
  *) echo "$*" >> calls; [ ! -e broken ] || exit 1;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile and a stand-in for Python; `calls` lists what it was told."""
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    for name in ("requirements.in", "pyproject.toml"):
        (tmp_path / name).touch()
    (tmp_path / "requirements.lock").write_text("rich==15.0.0\n")
    (tmp_path / "calls").touch()
    stub = tmp_path / "python-stub"
    stub.write_text(STUB)
    stub.chmod(0o755)
    return tmp_path


def calls(checkout: Path) -> list[str]:
    """Return what Python was asked for since the last time, by its telling words."""
    path = checkout / "calls"
    words = ("venv", "--requirement requirements.lock", "--editable .")
    found = [next(w for w in words if w in line) for line in path.read_text().splitlines()]
    path.write_text("")
    return found


def test_setup_installs_the_lock_once(checkout: Path) -> None:
    done = make(checkout, "setup", PYTHON="./python-stub")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Making .venv with Python 3.11.0" in done.stdout
    assert calls(checkout) == ["venv", "--requirement requirements.lock", "--editable ."]
    assert make(checkout, "setup").returncode == 0
    assert calls(checkout) == []


def test_setup_installs_again_if_the_lock_changed(checkout: Path) -> None:
    make(checkout, "setup", PYTHON="./python-stub")
    calls(checkout)
    later = (checkout / ".venv/.complete").stat().st_mtime + 5
    os.utime(checkout / "requirements.lock", (later, later))
    assert make(checkout, "setup").returncode == 0
    assert calls(checkout) == ["--requirement requirements.lock", "--editable ."]


def test_a_failed_setup_fails_and_is_taken_up_again(checkout: Path) -> None:
    (checkout / "broken").touch()
    assert make(checkout, "setup", PYTHON="./python-stub").returncode != 0
    assert not (checkout / ".venv/.complete").exists()
    (checkout / "broken").unlink()
    calls(checkout)
    assert make(checkout, "setup").returncode == 0
    assert calls(checkout) == ["--requirement requirements.lock", "--editable ."]


def test_without_a_usable_python_setup_says_what_to_install(checkout: Path) -> None:
    done = make(checkout, "setup", PYTHON="/bin/false")
    assert done.returncode != 0
    assert "no Python 3.11 or newer" in done.stderr
    assert "apt install python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()
