"""A sample of honest submissions scores with us what it scores with stock nbgrader."""

from __future__ import annotations

from pathlib import Path

import tiny

from autograder.grade import grade
from tests.parity import compare


def test_honest_submissions_score_what_nbgrader_gives_them_cell_by_cell(tmp_path: Path) -> None:
    cells, differences = compare(tmp_path, only=6, jobs=2)
    assert cells == 6 * 33
    assert differences == []


# Each has every point from stock nbgrader, tried by hand; so it has here.
STYLES = {
    "commands": "!ls\nfiles = !ls\nprint(files.n)\n%pip list\n!pip install numpy\n" + tiny.DOUBLE,
    "magics": "%matplotlib inline\n%timeit -n1 -r1 3\n%precision 3\n" + tiny.DOUBLE + "\n%who",
    "timed": "%%time\n" + tiny.DOUBLE,
    "await": "import asyncio\nawait asyncio.sleep(0)\n" + tiny.DOUBLE,
    "files": "open('k', 'w').write('2')\nk = int(open('k').read())\ndef double(x): return k * x",
    "written": "%%writefile mine.py\n" + tiny.DOUBLE,
    "global": "n = 0\ndef double(x):\n    global n\n    n += 1\n    print(n)\n    return 2 * x",
    "partial": "import functools, operator\ndouble = functools.partial(operator.mul, 2)",
    "input": tiny.DOUBLE + "\nx = input('a number: ')",
    "child": "import subprocess, sys\nk = int(subprocess.check_output([sys.executable, '-c', "
    "'print(2)']))\ndef double(x): return k * x",
    "pool": "import multiprocessing\ndef f(x): return 2 * x\ndef double(x):\n"
    "    with multiprocessing.Pool(2) as pool: return pool.map(f, [x])[0]",
    "exit": tiny.DOUBLE + "\nexit()",
}


def test_students_other_habits_cost_no_point(tmp_path: Path) -> None:
    course = tiny.make_course(tmp_path)
    for name, text in STYLES.items():
        tiny.hand_in(course, name, {**tiny.RIGHT, "double": text})
    lost = {
        result.student: result.statuses
        for result in grade(course, tiny.NAME, jobs=1)
        if result.score != (6 if result.student == "written" else 9)
    }
    assert lost == {}
