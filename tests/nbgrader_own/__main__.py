"""Run the tests that nbgrader's wheel ships, with our executor in the place of nbgrader's.

    python -m tests.nbgrader_own [options of pytest]

They stay where they are installed. A course's configuration (`nbgrader_config.py` in this folder)
reaches their commands by JUPYTER_CONFIG_PATH; `differences.toml` lists the tests that do not pass,
and why. `--stock` leaves our executor out: the control, in which all must pass.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbgrader

HERE = Path(__file__).resolve().parent
SUITES = (
    "nbgrader.tests.apps.test_nbgrader_autograde",
    "nbgrader.tests.apps.test_nbgrader_generate_feedback",
    "nbgrader.tests.apps.test_nbgrader_generate_assignment",
    "nbgrader.tests.preprocessors",
)


def main(options: list[str]) -> int:
    """Run the suites; return pytest's exit code."""
    stock = "--stock" in options
    options = [option for option in options if option != "--stock"]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        # They call `nbgrader` and `alembic` by name.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(HERE.parents[1]),
    }
    plugin = []
    if not stock:
        environment["JUPYTER_CONFIG_PATH"] = str(HERE)
        plugin = ["-p", "tests.nbgrader_own.plugin"]
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir=.", "-q", "-n2"]
    command += ["-p", "no:cacheprovider", "--disable-warnings", *plugin, *options]
    # Some read files by their path from where the package is installed.
    folder = Path(nbgrader.__file__).parents[1]
    return subprocess.run([*command, "--pyargs", *SUITES], cwd=folder, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
