"""Runs the engine with one defense off, in the driver and in both warm interpreters.

python -m tests.attacks.weakened WEAKENING grade ROOT JOBS      prints the results as JSON
python -I weakened.py WEAKENING student|grader ...              in the place of autograder.zygote
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def zygote(name: str) -> tuple[str, ...]:
    """Return the program that becomes a warm interpreter of the engine weakened so."""
    return (sys.executable, "-I", str(Path(__file__).resolve()), name)


def run(name: str, verb: str, *rest: str) -> None:
    """Weaken the engine, then be the driver or a zygote."""
    from tests.attacks import weakenings

    getattr(weakenings, name)()
    if verb != "grade":
        from autograder.zygote import main

        main(verb, *rest)
        return
    from autograder import feedback, grade, pool
    from autograder.course import Course
    from tests.attacks.target import NAME

    pool.ZYGOTE = zygote(name)
    course = Course(Path(rest[0]))
    results = grade.grade(course, NAME, jobs=int(rest[1]))
    for student in feedback.graded_students(course, NAME):
        feedback.write_page(course.root, NAME, student)  # in here, where it is weakened too
    print(json.dumps([asdict(result) for result in results]))


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    run(*sys.argv[1:])
