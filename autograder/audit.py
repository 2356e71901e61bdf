"""`course audit`: tests an assignment's tests, with the engine that grades its students.

Hands in what the course itself has: the solution, the stub, every misconception and alternative,
cheats that know the visible checks by heart, and mutants of each solution. Holds hidden tests and
solutions; meets no student. Writes to neither the gradebook nor autograded/.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import symtable
import time
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from autograder.course import Course
from autograder.errors import CourseError
from autograder.grade import Setup, cores
from autograder.mutants import Mutant, mutants
from autograder.pool import Pool
from autograder.sheet import SKIP_TAG, Cell, Role, Sheet, bound_names
from autograder.variants import load

EQUIVALENTS = "equivalents.toml"
"""Beside the source notebook: mutants that are right answers, each with the reason."""

RUNS = 10
FAST_RUNS = 2
FAST = 10
"""With `--fast`, one in so many mutants, misconceptions and alternatives of each question."""

MUTANTS_KILLED = 0.95
RIGHT_HINTS = 0.95

SECRET = hashlib.sha256(b"course audit").hexdigest().encode()
"""What the seeds are made of: the same everywhere, so that an audit can be repeated."""

Watch = Callable[[int], None]
"""Told of each submission that is graded, and of how many there are."""


@dataclass(frozen=True, eq=False)
class Question:
    """A question of a sheet: the cells that its student fills in, and those that test them."""

    sheet: Sheet
    name: str
    solutions: tuple[Cell, ...]
    tests: tuple[Cell, ...]

    @property
    def key(self) -> str:
        """Name of the sheet in which this question's tests alone are run."""
        return f"{self.sheet.name}/{self.name}"

    @cached_property
    def visible(self) -> tuple[str, ...]:
        """Tests that a student can read."""
        return tuple(_id(cell) for cell in self.tests if cell.source == cell.release)

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """Tests of which a student does not see all."""
        return tuple(_id(cell) for cell in self.tests if cell.source != cell.release)

    @property
    def judges(self) -> tuple[str, ...]:
        """Tests that must notice a mutant: the hidden ones, where there are any."""
        return self.hidden or self.visible

    def binding(self, name: str) -> Cell | None:
        """The solution cell that binds a name, if one does."""
        for cell in self.solutions:
            if name in self.sheet.solution_names.get(cell.position, ()):
                return cell
        return None


@dataclass(frozen=True, eq=False)
class Case:
    """One notebook to be handed in: the solution, or what it has in the place of one cell."""

    kind: str
    """solution, stub, misconception, alternative, recording, cheat or mutant."""
    name: str
    sheet: str
    question: Question | None = None
    answers: dict[str, str] = field(default_factory=dict)
    """Texts of solution cells that are not the solution's, by grade id."""
    note: str = ""
    """The hint of a misconception, the style of an alternative, why a mutant is equivalent."""
    mutant: Mutant | None = None


@dataclass(frozen=True)
class Outcome:
    """What the engine made of a case."""

    case: Case
    tests: dict[str, dict[str, Any]]
    """The score of each test cell (a `grader.Score` as a dict)."""
    hints: list[str]

    @cached_property
    def failed(self) -> list[str]:
        """Test cells that did not give all of their points."""
        return [name for name, test in self.tests.items() if test["score"] < test["points"]]

    @property
    def noticed_by(self) -> list[str]:
        """Those of the failed tests that judge a mutant."""
        judges = self.case.question.judges if self.case.question is not None else ()
        return [name for name in self.failed if name in judges]

    @property
    def hidden_points(self) -> float:
        """Points of the question's hidden tests."""
        hidden = self.case.question.hidden if self.case.question is not None else ()
        return sum(self.tests[name]["score"] for name in hidden if name in self.tests)

    @property
    def visibly_wrong(self) -> bool:
        """Whether a test that students can read noticed."""
        visible = self.case.question.visible if self.case.question is not None else ()
        return any(name in visible for name in self.failed)

    @property
    def stopped(self) -> bool:
        """Whether a test ran out of time or memory."""
        return any(test["status"] in ("timed out", "stopped") for test in self.tests.values())

    @property
    def rejected(self) -> bool:
        """Whether its own question, and no other, lost points, in a hidden test too."""
        lost = {self.tests[name]["question"] for name in self.failed}
        question = self.case.question
        return question is not None and lost == {question.name} and bool(self.noticed_by)

    @property
    def hinted(self) -> bool:
        """Whether the feedback says what is wrong, and nothing else."""
        return self.hints == [self.case.note]


@dataclass(frozen=True)
class Demand:
    """One line of the bar."""

    text: str
    met: bool


@dataclass
class Audit:
    """What was found about one assignment."""

    assignment: str
    questions: list[Question]
    outcomes: list[Outcome]
    mutants_made: int
    stale: list[str]
    """What is wrong in the list of equivalents."""
    advice: list[str]
    """What the tests do that README advises against. Told, not judged."""
    fast: bool
    seconds: float

    def of(self, kind: str, question: Question | None = None) -> list[Outcome]:
        """Outcomes of one kind, of one question or of all."""
        return [
            outcome
            for outcome in self.outcomes
            if outcome.case.kind == kind and question in (None, outcome.case.question)
        ]

    def killed(self, question: Question | None = None) -> list[Outcome]:
        """Mutants that a test noticed, those listed as equivalent aside."""
        return [o for o in self.of("mutant", question) if o.noticed_by and not o.case.note]

    def survivors(self, question: Question | None = None) -> list[Outcome]:
        """Mutants that no test noticed, those listed as equivalent aside."""
        return [o for o in self.of("mutant", question) if not (o.noticed_by or o.case.note)]

    def equivalent(self, question: Question | None = None) -> list[Outcome]:
        """Mutants that are listed as equivalent."""
        return [o for o in self.of("mutant", question) if o.case.note]

    @property
    def bar(self) -> list[Demand]:
        """What is demanded of an assignment, and whether it holds."""
        runs, stubs, cheats = self.of("solution"), self.of("stub"), self.of("cheat")
        wrong, right = self.of("misconception"), self.of("alternative")
        killed, survivors = len(self.killed()), len(self.survivors())
        lines = [
            ("solution: full marks in", [o for o in runs if not o.failed], runs, 1.0),
            ("stub: no points in", [o for o in stubs if not _points(o)], stubs, 1.0),
            ("misconceptions: lose their own question", [o for o in wrong if o.rejected], wrong, 1),
            (
                "misconceptions: get their own hint",
                [o for o in wrong if o.rejected and o.hinted],
                wrong,
                RIGHT_HINTS,
            ),
            ("alternatives: full marks for", [o for o in right if not o.failed], right, 1.0),
            (
                "answers copied from the visible checks: no hidden point for",
                [o for o in cheats if not o.hidden_points],
                cheats,
                1.0,
            ),
        ]
        found = [
            Demand(f"{text} {len(good)} of {len(every)}", len(good) >= share * len(every))
            for text, good, every, share in lines
        ]
        share = killed / max(killed + survivors, 1)
        found.append(
            Demand(
                f"mutants: killed {killed} of {killed + survivors} ({share:.1%}; "
                f"at least {MUTANTS_KILLED:.0%}), {len(self.equivalent())} more are equivalent",
                killed >= MUTANTS_KILLED * (killed + survivors),
            )
        )
        if self.stale:
            found.append(Demand(f"{EQUIVALENTS}: {'; '.join(self.stale)}", met=False))
        return found

    @property
    def met(self) -> bool:
        """Whether every line of the bar holds."""
        return all(demand.met for demand in self.bar)


def audit(
    course: Course,
    assignment: str,
    *,
    jobs: int | None = None,
    runs: int | None = None,
    fast: bool = False,
    watch: Watch = lambda total: None,
) -> Audit:
    """Test the tests of `assignment`; raise CourseError if they cannot be run at all.

    `runs` is how often the solution is graded, each time with other seeds. `fast` takes a sample.
    """
    started = time.monotonic()
    course.check_assignment(assignment)
    setup = Setup.read(course, assignment)
    if setup.message["rules"]["shared"]:
        raise CourseError(f'{assignment} is graded with trust = "shared": an audit needs the wall')
    questions = [question for sheet in setup.sheets.values() for question in _questions(sheet)]
    folder = course.source(assignment)
    listed = _listed(folder / EQUIVALENTS, questions)
    changed, stale = _mutant_cases(questions, listed)
    every = len(changed)
    variants = [
        *_variant_cases(folder / "misconceptions.py", "misconception", questions),
        *_variant_cases(folder / "alternatives.py", "alternative", questions),
    ]
    if fast:
        changed, variants = _sample(changed), _sample(variants)
    runs = runs or (FAST_RUNS if fast else RUNS)
    known = [
        *(Case("solution", f"run {n}", name) for n in range(1, runs + 1) for name in setup.sheets),
        *(Case("solution", question.name, question.sheet.name, question) for question in questions),
        *(Case("stub", "untouched", name) for name in setup.sheets),
        *variants,
    ]
    recordings = [
        Case("recording", question.name, question.sheet.name, question, _recording(question))
        for question in questions
        if question.visible and question.hidden
    ]
    total = len(known) + 2 * len(recordings) + len(changed)

    bench, jobs = _Bench(setup, questions), jobs or cores()
    with bench.pool(jobs) as pool:
        cheats = []
        for case, answer in bench.run(pool, recordings):
            cheats.append(_cheat(case, answer["notebook"]))
            watch(total)
        outcomes = []
        for case, answer in bench.run(pool, [*known, *cheats]):
            outcomes.append(_outcome(case, answer, setup.sheets[case.sheet]))
            watch(total)
    # A mutant that loops for ever is stopped soon; what it should have done took no longer.
    took = [t["seconds"] for o in outcomes if o.case.kind == "solution" for t in o.tests.values()]
    with bench.pool(jobs, cell_seconds=max(2.0, 10 * max(took, default=0.0))) as pool:
        for case, answer in bench.run(pool, changed):
            outcomes.append(_outcome(case, answer, setup.sheets[case.sheet]))
            watch(total)
    stale += [
        f"{o.case.name} is listed, but {', '.join(o.noticed_by)} notices it"
        for o in outcomes
        if o.case.kind == "mutant" and o.case.note and o.noticed_by
    ]
    order = {case: place for place, case in enumerate([*known, *cheats, *changed])}
    return Audit(
        assignment=assignment,
        questions=questions,
        outcomes=sorted(outcomes, key=lambda outcome: order[outcome.case]),
        mutants_made=every,
        stale=stale,
        advice=[line for sheet in setup.sheets.values() for line in _advice(sheet)],
        fast=fast,
        seconds=time.monotonic() - started,
    )


class _Bench:
    """Hands cases to the engine. Beside the assignment's own sheets there is one for each question,
    in which the tests of the others are skipped, and one with its visible tests alone."""

    def __init__(self, setup: Setup, questions: list[Question]):
        self._setup = setup
        self._texts: dict[str, list[bytes]] = dict(setup.message["sheets"])
        self._releases: dict[str, dict] = {}
        for name, (source, release) in setup.message["sheets"].items():
            self._releases[name] = json.loads(release)
            for question in questions:
                if question.sheet.name == name:
                    whole = [_id(cell) for cell in question.tests]
                    for key, tests in (("", whole), ("/visible", question.visible)):
                        only = self._with_only(question, tests)
                        self._texts[question.key + key] = [source, only]

    def pool(self, jobs: int, cell_seconds: float | None = None) -> Pool:
        """Start warm interpreters. With `cell_seconds` no cell has more, and hints are not sought:
        looking for one runs the test again, and mutants need none."""
        message = self._setup.message | {"sheets": self._texts, "secret": SECRET}
        if cell_seconds is not None:
            rules = message["rules"]
            seconds = min(rules["cell_seconds"], cell_seconds)
            message |= {"rules": rules | {"cell_seconds": seconds}, "misconceptions": ""}
        return Pool(jobs, message, self._setup.modules)

    def run(self, pool: Pool, cases: Iterable[Case]) -> Iterator[tuple[Case, dict[str, Any]]]:
        """Yield each case with the engine's answer, as they finish."""
        for case, kind, answer in pool.map((case, self._task(case)) for case in cases):
            if kind != "graded":
                raise CourseError(f"{case.kind} {case.name} could not be graded: {answer}")
            yield case, answer

    def _task(self, case: Case) -> dict[str, Any]:
        key, question = case.sheet, case.question
        if question is not None and case.kind == "recording":
            key = question.key + "/visible"
        elif question is not None and case.kind in ("solution", "cheat", "mutant"):
            key = question.key
        data = self._notebook(case)
        return {"notebook": key, "data": data, "where": case.name, "files": {}, "notes": []}

    def _notebook(self, case: Case) -> bytes:
        release, cells = self._releases[case.sheet], []
        for ours, cell in zip(self._setup.sheets[case.sheet].cells, release["cells"], strict=True):
            text = ours.source if case.kind != "stub" and _is_answer(ours) else cell["source"]
            cells.append({**cell, "source": case.answers.get(ours.grade_id or "", text)})
        if case.kind == "solution":
            # The seeds depend on what was handed in: another remark, other seeds.
            remark = {"cell_type": "code", "id": "run", "metadata": {}, "source": f"# {case.name}"}
            cells.append(remark | {"outputs": [], "execution_count": None})
        return json.dumps({**release, "cells": cells}).encode()

    def _with_only(self, question: Question, tests: Collection[str]) -> bytes:
        """Return the release in which all tests but these, and what they use, are skipped."""
        gone, release = skipped(question, tests), self._releases[question.sheet.name]
        cells = []
        for cell, node in zip(question.sheet.cells, release["cells"], strict=True):
            if cell.grade_id in gone:
                tags = [*node["metadata"].get("tags", []), SKIP_TAG]
                node = {**node, "metadata": {**node["metadata"], "tags": tags}}
            cells.append(node)
        return json.dumps({**release, "cells": cells}).encode()


def skipped(question: Question, tests: Collection[str]) -> list[str]:
    """Return the tests of the sheet that need not run for those of a question.

    An earlier one stays if it makes something that they use, such as a function to be handed over.
    """
    sheet, gone = question.sheet, []
    given = [cell for cell in sheet.cells if cell.role is Role.GIVEN and not cell.skip]
    used = set().union(*(_uses(cell) for cell in given if cell.is_code))
    begun = False
    for cell in reversed(sheet.cells):
        if cell.role is Role.TEST:
            begun = begun or _id(cell) in tests
            if _id(cell) in tests or (begun and sheet.our_names[cell.position] & used):
                used |= _uses(cell)
            else:
                gone.append(_id(cell))
    return gone[::-1]


def _id(cell: Cell) -> str:
    assert cell.grade_id is not None
    return cell.grade_id


def _is_answer(cell: Cell) -> bool:
    return cell.is_code and cell.role in (Role.SOLUTION, Role.MANUAL)


def _questions(sheet: Sheet) -> Iterator[Question]:
    """Yield the questions that tests grade. Several solution cells before a test are one."""
    start = 0
    for name, cells in sheet.questions.items():
        tests = tuple(cell for cell in cells if cell.role is Role.TEST and cell.points)
        if tests:
            first = tests[0].position
            before = sheet.cells[start:first]
            solutions = tuple(c for c in before if c.is_code and c.role is Role.SOLUTION)
            start = first
            if solutions:
                yield Question(sheet, name, solutions, tests)


def _uses(cell: Cell) -> set[str]:
    """Names that a cell of the course's takes from the notebook."""
    found: set[str] = set()

    def look(table: symtable.SymbolTable) -> None:
        for symbol in table.get_symbols():
            if symbol.is_global() or (table.get_type() == "module" and symbol.is_referenced()):
                found.add(symbol.get_name())
        for child in table.get_children():
            look(child)

    try:
        look(symtable.symtable(cell.source, "cell", "exec"))
    except SyntaxError:  # IPython's own
        return set()
    return found - bound_names(cell.source, imports=True)


def _points(outcome: Outcome) -> float:
    return sum(test["score"] for test in outcome.tests.values())


def _outcome(case: Case, answer: dict[str, Any], sheet: Sheet) -> Outcome:
    roles = {name: cell.role for name, cell in sheet.by_grade_id.items()}
    tests = {s["grade_id"]: s for s in answer["scores"] if roles[s["grade_id"]] is Role.TEST}
    hints = [hint for test in tests.values() for hint in test["hints"]]
    return Outcome(case, tests, [*dict.fromkeys(hints)])


def _sample(cases: list[Case]) -> list[Case]:
    """Return one case in `FAST`, at least one of each kind and question."""
    groups: dict[tuple[str, Question | None], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.kind, case.question), []).append(case)
    return [case for group in groups.values() for case in group[::FAST]]


def _variant_cases(path: Path, kind: str, questions: list[Question]) -> Iterator[Case]:
    """Yield a case for each of the course's variants, in the cell that its function belongs to."""
    if not path.is_file():
        return
    text = path.read_text("utf-8")
    for variant in load(path):
        for question in questions:
            cell = question.binding(variant.of)
            if cell is not None:
                break
        else:
            raise CourseError(f"{path}: {variant.name} is of {variant.of}, which no question asks")
        answer = variant.as_cell(text)
        if len(question.sheet.solution_names[cell.position]) > 1:  # the cell's others stay
            answer = f"{cell.source}\n\n{answer}"
        answers = {_id(cell): answer}
        yield Case(kind, variant.name, question.sheet.name, question, answers, variant.note)


# Mutants, and those that are right answers.


@dataclass(frozen=True)
class _Listed:
    """One entry of `equivalents.toml`."""

    question: str
    old: str
    new: str
    why: str


def _listed(path: Path, questions: list[Question]) -> list[_Listed]:
    """Read the equivalents: a table of tables, by question, with `old`, `new` and `why` each."""
    if not path.is_file():
        return []
    names, found = {question.name for question in questions}, []
    try:
        for name, entries in tomllib.loads(path.read_text("utf-8")).items():
            if name not in names:
                raise CourseError(f"{path}: there is no question {name}")
            for entry in entries:
                texts = {key: " ".join(entry.pop(key).split()) for key in ("old", "new", "why")}
                if entry or not all(texts.values()):
                    raise CourseError(f"{path}: an entry of {name} has not just old, new and why")
                found.append(_Listed(name, **texts))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CourseError(f"{path} cannot be read: {type(error).__name__}: {error}") from None
    return found


def _mutant_cases(questions: list[Question], listed: list[_Listed]) -> tuple[list[Case], list[str]]:
    """Return a case for each mutant, and the entries of the list that name none."""
    cases: list[Case] = []
    left = {(entry.question, entry.old, entry.new): entry for entry in listed}
    used: set[tuple[str, str, str]] = set()
    for question in questions:
        number = 0
        for cell in question.solutions:
            for mutant in mutants(cell.source):
                number += 1
                key = (question.name, " ".join(mutant.old.split()), " ".join(mutant.new.split()))
                entry = left.get(key)
                used |= {key} if entry else set()
                cases.append(
                    Case(
                        kind="mutant",
                        name=f"{question.name} {number}",
                        sheet=question.sheet.name,
                        question=question,
                        answers={_id(cell): mutant.source},
                        note=entry.why if entry else "",
                        mutant=mutant,
                    )
                )
    unknown = [entry for key, entry in left.items() if key not in used]
    return cases, [f"{entry.question} has no mutant {entry.new!r}" for entry in unknown]


# Cheats.

_KEYS = '''
import base64 as _base64, pickle as _pickle

def _shape(value):
    """Turn arguments into text that is equal for equal arguments; functions are all alike."""
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    if hasattr(value, "tobytes"):
        return [str(value.dtype), value.shape, value.tobytes()]
    if isinstance(value, (list, tuple)):
        return [_shape(part) for part in value]
    if isinstance(value, dict):
        return [[_shape(key), _shape(part)] for key, part in value.items()]
    return value if isinstance(value, (int, float, complex, str, bytes)) else None

def _key(args, kwargs):
    return _base64.b64encode(repr(_shape([args, kwargs])).encode()).decode()
'''

_RECORDER = """
def _recorded(name, function):
    def asked(*args, **kwargs):
        key = _key(args, kwargs)
        try:
            answer = "value", function(*args, **kwargs)
        except Exception as error:
            answer = "error", error
        try:
            print("<known>", name, key, _base64.b64encode(_pickle.dumps(answer)).decode())
        except Exception:
            pass  # what is no data cannot be copied from a screen
        if answer[0] == "error":
            raise answer[1]
        return answer[1]
    return asked
"""

_CHEAT = """
def {name}(*args, **kwargs):
    known = {known!r}
    if not known:
        raise NotImplementedError
    answer = known.get(_key(args, kwargs), next(iter(known.values())))
    kind, value = _pickle.loads(_base64.b64decode(answer))
    if kind == "error":
        raise value
    return value
"""

_KNOWN = re.compile(r"<known> (\w+) (\S+) (\S+)")


def _functions(cell: Cell) -> list[str]:
    """Names of the functions that a solution cell defines for its tests."""
    tree = ast.parse(cell.source)
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def _recording(question: Question) -> dict[str, str]:
    """Return solution cells whose functions print what they are asked and what they answer."""
    answers = {}
    for cell in question.solutions:
        lines = [f"{name} = _recorded({name!r}, {name})" for name in _functions(cell)]
        answers[_id(cell)] = "\n".join([cell.source, _KEYS, _RECORDER, *lines])
    return answers


def _cheat(case: Case, notebook: str) -> Case:
    """Return the case whose functions give what was printed in the visible checks."""
    question = case.question
    assert question is not None
    known: dict[str, dict[str, str]] = {}
    for node in json.loads(notebook)["cells"]:
        for output in node.get("outputs", ()):
            for name, key, answer in _KNOWN.findall("".join(output.get("text", ""))):
                known.setdefault(name, {})[key] = answer
    answers = {}
    for cell in question.solutions:
        defined = [_CHEAT.format(name=n, known=known.get(n, {})) for n in _functions(cell)]
        if defined:
            answers[_id(cell)] = "\n".join([_KEYS, *defined])
    return replace(case, kind="cheat", answers=answers)


# What README advises against, as far as the text of a test shows it.


def _advice(sheet: Sheet) -> Iterator[str]:
    for cell in sheet.cells:
        if cell.role is not Role.TEST or not cell.is_code:
            continue
        try:
            tree = ast.parse(cell.source)
        except SyntaxError:
            continue
        if tree.body and _is_no_assertion(tree.body[-1]):
            yield f"{_id(cell)} ends with a value that decides nothing: assert it"
        for node in ast.walk(tree):
            if isinstance(node, ast.Assert) and _bounds_a_square(node.test):
                yield (
                    f"{_id(cell)}, line {node.lineno}: a squared error of imaginary numbers is "
                    "below any bound: compare by np.allclose or an absolute difference"
                )


def _is_no_assertion(last: ast.stmt) -> bool:
    """Whether a test's last line looks like a verdict and is none: it passes with False too."""
    return isinstance(last, ast.Expr) and (
        isinstance(last.value, ast.Compare | ast.BoolOp | ast.Tuple)
        or (isinstance(last.value, ast.UnaryOp) and isinstance(last.value.op, ast.Not))
        or (isinstance(last.value, ast.Constant) and isinstance(last.value.value, str | bool))
    )


def _bounds_a_square(test: ast.expr) -> bool:
    """Whether something squared, with no absolute value around it, has to be small."""
    if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Lt | ast.LtE)):
        return False
    text = ast.unparse(test.left)
    return bool(re.search(r"\*\* ?2\b|\bsquare\(", text)) and "abs" not in text
