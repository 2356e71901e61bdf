"""Mutants: a solution with one small change each, of the kind that a tired student makes.

Knows Python's syntax; runs nothing. Made for code that computes: signs, axes, indices, ends of
ranges, means for sums, dropped terms, statements, transposes and `detach`. A change replaces one
node of the syntax tree and its piece of the text, so comments and layout stay, and a diff is short.
"""

from __future__ import annotations

import ast
import copy
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

_SOLUTION = re.compile(r"### BEGIN SOLUTION.*?### END SOLUTION", re.DOTALL)

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq, ast.GtE),
    ast.NotEq: (ast.Eq, ast.Gt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.Pow: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
_AXES = ("axis", "dim")
_LAST_AXIS = ("argsort", "sort", "take_along_axis", "topk")
"""What works along the last axis where none is named."""
_COMMUTE = ("max", "min", "maximum", "minimum", "add", "multiply", "allclose")
_ORDERED = (ast.Sub, ast.Div, ast.MatMult, ast.Pow, ast.FloorDiv, ast.Mod)

_TWINS = dict(
    pair.split()
    for pair in (
        "mean sum,sum mean,max min,min max,amax amin,amin amax,argmax argmin,argmin argmax,"
        "maximum minimum,minimum maximum,zeros ones,ones zeros,zeros_like ones_like,"
        "ones_like zeros_like,any all,all any,floor ceil,ceil floor,tril triu,triu tril,"
        "sigmoid tanh,tanh sigmoid,softmax log_softmax,log_softmax softmax,log log2,exp exp2,"
        "no_grad enable_grad,vstack hstack,hstack vstack,append extend,cumsum cumprod"
    ).split(",")
)
"""A function, and one that is easily taken for it."""

_LITERALS = (ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
_TEXTS = (ast.JoinedStr, ast.Raise)  # what a message says is no behavior; 3.11 misplaces its parts


@dataclass(frozen=True)
class Mutant:
    """One changed solution cell. `old` and `new` are the lines that differ."""

    operator: str
    source: str
    old: str
    new: str


def mutants(source: str) -> list[Mutant]:
    """Return the mutants of a solution cell: always the same, each once, each valid Python.

    What stands outside the cell's solution region is given to the student, so it stays. A cell
    that is no plain Python has none.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    found: dict[str, Mutant] = {}
    seen = {ast.dump(tree)}
    for place in _places(tree, source):
        for operator, replacement in _changes(place.node, place.parent, tree):
            wanted = place.replaced(tree, replacement)
            if wanted in seen:
                continue
            text = _spliced(source, place.node, replacement, wanted)
            if text is not None and text not in found:
                seen.add(wanted)
                found[text] = Mutant(operator, text, *_difference(source, text))
    return list(found.values())


@dataclass(frozen=True)
class _Place:
    """Where a node hangs in the tree."""

    node: ast.expr | ast.stmt
    parent: ast.AST
    field: str
    index: int | None

    def replaced(self, tree: ast.AST, replacement: ast.AST) -> str:
        """Return the dump of the tree with another node in this place."""
        self._set(replacement)
        try:
            return ast.dump(tree)
        finally:
            self._set(self.node)

    def _set(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def _places(tree: ast.Module, source: str) -> Iterator[_Place]:
    """Yield every place of the solution region whose change is a change of behavior."""
    regions = [
        (1 + source.count("\n", 0, match.start()), 1 + source.count("\n", 0, match.end()))
        for match in _SOLUTION.finditer(source)
    ] or [(0, 1 + source.count("\n"))]

    def inside(node: ast.AST) -> bool:
        line = getattr(node, "lineno", 0)
        return any(first <= line <= last for first, last in regions)

    def below(parent: ast.AST) -> Iterator[_Place]:
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "decorator_list"):
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(node, ast.AST) or isinstance(node, _TEXTS) or _is_docstring(node):
                    continue
                if isinstance(node, ast.expr | ast.stmt) and inside(node):
                    yield _Place(node, parent, field, index)
                yield from below(node)

    yield from below(tree)


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


Change = tuple[str, ast.AST]


def _changes(node: ast.expr | ast.stmt, parent: ast.AST, tree: ast.Module) -> Iterator[Change]:
    """Yield what may stand in the place of a node, and the name of the change."""
    if isinstance(node, ast.stmt):
        yield from _of_statement(node, tree)
        return
    if isinstance(getattr(node, "ctx", None), ast.Store | ast.Del):
        return
    match parent:
        case ast.If(test=test) | ast.IfExp(test=test) if test is node:
            yield "condition", ast.Constant(True)
            yield "condition", ast.Constant(False)
        case ast.While(test=test) if test is node:
            yield "condition", ast.Constant(False)
        case ast.comprehension(ifs=ifs) if node in ifs:
            yield "condition", ast.Constant(True)
        case ast.For(iter=iterated) | ast.comprehension(iter=iterated) if iterated is node:
            yield "loop cut short", _call("list({0})[1:]", node)
            yield "loop cut short", _call("list({0})[:-1]", node)
        case ast.Subscript(slice=index) if index is node and isinstance(node, ast.Name | ast.BinOp):
            yield "index", _call("{0} - 1", node)
        case ast.Slice() if not isinstance(node, ast.Constant):
            yield "slice", _call("{0} + 1", node)
            yield "slice", _call("{0} - 1", node)
        case ast.Return() | ast.Assign() | ast.AugAssign() if _scales(node):
            yield "scale", _call("2 * {0}", node)
        case ast.Tuple() if _scales(node) and not isinstance(node, ast.UnaryOp):
            yield "scale", _call("2 * {0}", node)
            yield "sign", ast.UnaryOp(ast.USub(), node)
    if isinstance(parent, ast.Return) and _scales(node) and not isinstance(node, ast.UnaryOp):
        yield "sign", ast.UnaryOp(ast.USub(), node)
    axes = isinstance(parent, ast.keyword) and parent.arg in _AXES
    if axes and isinstance(node, ast.UnaryOp | ast.Tuple):
        return  # the last axis of a matrix is axis 1, and several have no order
    for operator, replacement in _of_expression(node, tree):
        # As a statement, an argument does what a dropped statement does.
        if not (isinstance(parent, ast.Expr) and operator == "call dropped"):
            yield operator, replacement


def _of_expression(node: ast.AST, tree: ast.Module) -> Iterator[Change]:
    match node:
        case ast.Constant(value=bool(value)):
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield "constant", ast.Constant(value + 1)
            yield "constant", ast.parse(str(value - 1), mode="eval").body
        case ast.Constant(value=float(value)):
            yield "constant", ast.Constant(2 * value if value else 1.0)
            yield "constant", ast.Constant(0.0)
        case ast.UnaryOp(operand=operand):
            yield "operator", operand
        case ast.Compare(left=left, ops=ops, comparators=right):
            for i, op in enumerate(ops):
                for other in _COMPARISONS[type(op)]:
                    yield "comparison", ast.Compare(left, [*ops[:i], other(), *ops[i + 1 :]], right)
        case ast.BoolOp(op=op, values=values):
            other_op = ast.And() if isinstance(op, ast.Or) else ast.Or()
            yield "operator", ast.BoolOp(other_op, values)
            for i in range(len(values)):
                rest = values[:i] + values[i + 1 :]
                yield "term dropped", rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
        case ast.BinOp(left=first, op=op, right=second):
            for operator in _OPERATORS.get(type(op), ()):
                yield "operator", ast.BinOp(first, operator(), second)
            if isinstance(op, _ORDERED):
                yield "operands swapped", ast.BinOp(second, op, first)
            yield "term dropped", first
            yield "term dropped", second
        case ast.Call():
            yield from _of_call(node, tree)
        case ast.Attribute(value=inner, attr="T" | "mT"):
            yield "transpose dropped", inner
        case ast.Slice(lower=lower, upper=upper, step=step):
            if lower is not None:
                yield "slice", ast.Slice(None, upper, step)
            if upper is not None:
                yield "slice", ast.Slice(lower, None, step)
        case ast.Tuple(elts=parts, ctx=ast.Load()):
            for i in range(len(parts) - 1):
                swapped = [*parts[:i], parts[i + 1], parts[i], *parts[i + 2 :]]
                yield "order", ast.Tuple(swapped, ast.Load())


def _of_call(call: ast.Call, tree: ast.Module) -> Iterator[Change]:
    function, args, keywords = call.func, call.args, call.keywords
    called = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
    for i in range(len(args) - 1):
        swapped = [*args[:i], args[i + 1], args[i], *args[i + 2 :]]
        if called not in _COMMUTE:
            yield "arguments swapped", ast.Call(function, swapped, keywords)
    for i, keyword in enumerate(keywords):
        if keyword.arg is not None and not (keyword.arg in _AXES and called in _LAST_AXIS):
            rest = keywords[:i] + keywords[i + 1 :]
            yield f"{keyword.arg} dropped", ast.Call(function, args, rest)
    match function:
        case ast.Attribute(value=inner, attr=name, ctx=context):
            if _is_value(inner, tree):
                yield f"{name} dropped", inner
            if name in _TWINS:
                twin = ast.Attribute(inner, _TWINS[name], context)
                yield "function", ast.Call(twin, args, keywords)
        case ast.Name(id=name, ctx=context) if name in _TWINS:
            yield "function", ast.Call(ast.Name(_TWINS[name], context), args, keywords)
    for arg in args[:3]:
        if not isinstance(arg, ast.Starred | ast.GeneratorExp | ast.Lambda):
            yield "call dropped", arg


def _of_statement(node: ast.stmt, tree: ast.Module) -> Iterator[Change]:
    match node:
        case ast.AugAssign(target=target, op=op, value=value):
            for operator in _OPERATORS.get(type(op), ()):
                yield "operator", ast.AugAssign(target, operator(), value)
            yield "operator", ast.Assign([target], value)
            yield "statement dropped", ast.Pass()
        case ast.Assign(targets=targets):
            if all(_was_bound(target, tree) for target in targets):
                yield "statement dropped", ast.Pass()
        case ast.Expr() | ast.If() | ast.For() | ast.While() | ast.Delete():
            yield "statement dropped", ast.Pass()
        case ast.Break() | ast.Continue():
            yield "statement dropped", ast.Pass()


def _call(template: str, node: ast.AST) -> ast.AST:
    """Return the expression `template` with a node in the place of `{0}`."""

    class Filler(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.AST:
            return node if name.id == "_hole" else name

    return Filler().visit(ast.parse(template.format("_hole"), mode="eval").body)


def _scales(node: ast.AST) -> bool:
    """Whether twice the value is another value of the same kind, as far as the text can tell."""
    if isinstance(node, ast.Call) and re.search(r"zeros(_like)?$", ast.unparse(node.func)):
        return False
    return not isinstance(node, (*_LITERALS, ast.Constant, ast.Lambda, ast.Slice, ast.Starred))


def _names(tree: ast.AST, before: int) -> set[str]:
    """Names that parameters and assignments bind above a line."""
    found = set()
    for node in ast.walk(tree):
        if getattr(node, "lineno", before) >= before:
            continue
        if isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _was_bound(target: ast.expr, tree: ast.Module) -> bool:
    """Whether without the assignment the name is still there, with its value of before."""
    if isinstance(target, ast.Tuple | ast.List):
        return all(_was_bound(part, tree) for part in target.elts)
    return not isinstance(target, ast.Name) or target.id in _names(tree, target.lineno)


def _is_value(node: ast.AST, tree: ast.Module) -> bool:
    """Whether a method is called on something of the function's own, not on a module."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return not isinstance(node, ast.Name) or node.id in _names(tree, 10**9)


def _spliced(
    source: str, node: ast.expr | ast.stmt, replacement: ast.AST, wanted: str
) -> str | None:
    """Return the source with the node's text replaced, so that it parses to the tree wanted."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    first = starts[node.lineno - 1] + node.col_offset
    last = starts[node.end_lineno - 1] + node.end_col_offset
    data = source.encode()
    text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(replacement)))
    for attempt in (text, f"({text})"):
        whole = (data[:first] + attempt.encode() + data[last:]).decode()
        try:
            if ast.dump(ast.parse(whole)) == wanted:
                return whole
        except SyntaxError:
            continue
    return None


def _difference(source: str, text: str) -> tuple[str, str]:
    """Return the lines that differ, of both."""
    old, new = source.split("\n"), text.split("\n")
    while old and new and old[0] == new[0]:
        del old[0], new[0]
    while old and new and old[-1] == new[-1]:
        del old[-1], new[-1]
    return tuple(textwrap.dedent("\n".join(lines)).strip() for lines in (old, new))  # type: ignore[return-value]
