"""SQL routines (`WITH FUNCTION`), written out where they are called.

One that is a RETURN alone becomes its expression. Others become blocks of assignments: a state has
the number of the next block and every variable, and one expression makes of a state the next. What
has no loop passes through its blocks in a fold; what has one in a recursive query, which ends when
all rows have returned, or fails after `MAX_STEPS`.
"""

# ruff: noqa: RET503 - what comes last in these functions never returns (NoReturn)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from queryrun.sql.compile import types as t
from queryrun.sql.compile.compiler import BY_CHANCE, Compiler
from queryrun.sql.compile.defined import Defined
from queryrun.sql.compile.scope import Column, Scope
from queryrun.sql.compile.type_names import type_of
from queryrun.sql.compile.typed import Typed, UnsupportedCastError
from queryrun.sql.compile.types import Type
from queryrun.sql.trino.records import ast
from queryrun.sql.trino.records import routines as r
from queryrun.sql.trino.records.extra import ExtraControl, ExtraRoutine
from queryrun.sql.trino.walk import records

MAX_STEPS = 100_000
"""Blocks that one call of a function with loops may pass through."""
_DONE = -1
_QUERIES = (ast.ScalarQuery, ast.Exists, ast.InQuery, ast.Quantified)


def define(c: Compiler, routines: Sequence[ExtraRoutine]) -> None:
    """Make a statement's functions known, after checking each as Trino does."""
    for node in routines:
        if isinstance(node, r.Routine):
            _define(c, node)


def _define(c: Compiler, node: r.Routine) -> None:
    names = set[str]()
    for param in node.params:
        if param.name is None:
            c.mismatch("Function parameters must have a name", param.at)
        if param.name.key in names:
            c.mismatch(f"Duplicate function parameter name: {param.name.key}", param.at)
        names.add(param.name.key)
    body = node.body
    last = body.body[-1] if isinstance(body, r.Compound) and body.body else body
    if not isinstance(last, r.Return):
        c.mismatch("Function must end in a RETURN statement", body.at)
    params = tuple(_type(c, param.type, param.at) for param in node.params)
    found = Defined(node, params, _type(c, node.returns, node.returns.at), tuple(c.routines))
    _check(c, found)
    c.routines = [
        one for one in c.routines if (one.node.name.key, one.params) != (node.name.key, params)
    ] + [found]


def _check(c: Compiler, found: Defined) -> None:
    """Every statement is looked at once, also of a function that nothing calls."""
    node = found.node
    for item in records(node.body):
        if isinstance(item, _QUERIES):
            c.mismatch("Queries are not allowed in functions", item.at)
        if isinstance(item, ast.Call) and c.is_aggregate(item):
            c.refuse("An aggregate or window function in a function", item.at)
        is_own = isinstance(item, ast.Call) and item.name == node.name.key
        if is_own and not c.is_known(node.name.key, found.seen):
            c.refuse("A function that calls itself", node.at)
    sql = _called(c, found, [Typed(f"p{n}", kind) for n, kind in enumerate(found.params)]).sql
    is_deterministic = BY_CHANCE.search(sql) is None
    if node.is_deterministic is False and is_deterministic:
        c.mismatch("Deterministic function declared NOT DETERMINISTIC", node.at)
    if node.is_deterministic is not False and not is_deterministic:
        c.mismatch("Non-deterministic function declared DETERMINISTIC", node.at)


def _type(c: Compiler, written: ast.TypeName, at: int) -> Type:
    try:
        kind, length = type_of(written)
    except UnsupportedCastError as error:
        if error.is_mismatch:
            c.mismatch(str(error), at)
        c.refuse(str(error), at)
    if length is not None or any(_lengths(written)):
        c.refuse("A varchar with a length in a function", at)
    return kind


def _lengths(written: ast.TypeName) -> Iterator[bool]:
    for part in written.arguments:
        if isinstance(part, ast.TypeName):
            yield part.name == "varchar" and bool(part.arguments)
            yield from _lengths(part)


# --- calls ----------------------------------------------------------------------------------


def call(c: Compiler, node: ast.Call, args: Sequence[Typed]) -> Typed | None:
    """The call of a function that the statement defines; None where none of them fits."""
    fitting = [
        one
        for one in c.routines
        if one.node.name.key == node.name
        and len(one.params) == len(args)
        and all(fits(a.type, p) for a, p in zip(args, one.params, strict=True))
    ]
    if not fitting:
        return None
    exact = [
        one
        for one in fitting
        if all(t.bare(a.type) == t.bare(p) for a, p in zip(args, one.params, strict=True))
    ]
    if len(fitting) > 1 and not exact:
        c.refuse(f"A call of {node.name} that several functions fit", node.at)
    found = (exact or fitting)[0]
    values = [Typed(c.exact(c.cast_to(a, p)), p) for a, p in zip(args, found.params, strict=True)]
    return c.once_each(values, lambda bound: _called(c, found, bound))


def fits(given: Type, target: Type) -> bool:
    """Whether a value may stand for another; the names of a row's fields are no matter."""
    if given.name == target.name == "row" and len(given.parts) == len(target.parts):
        return all(fits(a, b) for a, b in zip(given.parts, target.parts, strict=True))
    if given.name == target.name == "decimal" and t.common(given, target) != target:
        return False
    return t.can_become(given, target)


def _called(c: Compiler, found: Defined, values: list[Typed]) -> Typed:
    before = c.routines, c.scope, c.lambdas
    is_in_lambda = bool(c.lambdas)
    c.routines, c.lambdas = list(found.seen), []
    try:
        body = _Body(c, found, values, is_in_lambda).sql()
    finally:
        c.routines, c.scope, c.lambdas = before
    if found.node.is_null_on_null and values:
        missing = " OR ".join(f"{value.sql} IS NULL" for value in values)
        body = f"CASE WHEN {missing} THEN NULL ELSE {body} END"
    return Typed(f"CAST({body} AS {c.type_name(found.returns)})", found.returns)


@dataclass(slots=True)
class _Variable:
    """A parameter or a declared variable: `slot` is its place in the state."""

    slot: str
    type: Type


@dataclass(slots=True)
class _Block:
    """Assignments that see the state before all of them, and the block that comes next."""

    sets: dict[str, str] = field(default_factory=dict)
    next: str = str(_DONE)
    result: str = ""


_Names = dict[str, _Variable]
_Labels = dict[str, tuple[int, int]]


class _Body:
    """One call's body."""

    def __init__(
        self, c: Compiler, found: Defined, values: Sequence[Typed], is_in_lambda: bool
    ) -> None:
        self._c, self._found, self._values = c, found, values
        self._is_in_lambda = is_in_lambda
        self._state = c.state_name(f"{found.node.at} {[value.sql for value in values]}")
        self._blocks: list[_Block] = []
        self._types: dict[str, Type] = {}
        self._has_loop = False
        self._first: _Names = {}

    def sql(self) -> str:
        """The value that the body returns."""
        params = [param.name.key for param in self._found.node.params if param.name is not None]
        body = self._found.node.body
        if isinstance(body, r.Return):
            named = zip(params, self._values, strict=True)
            columns = [Column(key, key, value.sql, value.type) for key, value in named]
            with self._c.inside(Scope(columns)):
                return self._brought(body.value, self._found.returns, "Value of RETURN")
        for key, value in zip(params, self._values, strict=True):
            self._first[key] = self._variable(value.type)
        start = self._block()
        self._statement(body, start, dict(self._first), {})
        return self._loop() if self._has_loop else self._fold()

    # --- blocks -----------------------------------------------------------------------------

    def _variable(self, kind: Type) -> _Variable:
        slot = f"v{len(self._types)}"
        self._types[slot] = kind
        return _Variable(slot, kind)

    def _block(self) -> int:
        self._blocks.append(_Block())
        return len(self._blocks) - 1

    def _statement(self, node: ExtraControl, at: int, names: _Names, labels: _Labels) -> int:
        """Compiles into the block `at`; the block where the next statement goes."""
        match node:
            case r.Return():
                value = self._in(node.value, names, self._found.returns, "Value of RETURN")
                self._blocks[at].result, self._blocks[at].next = value, str(_DONE)
                return self._block()
            case r.Assign():
                return self._assign(node, at, names)
            case r.Compound():
                return self._compound(node, at, names, labels)
            case r.Branches():
                return self._branches(node, at, names, labels)
            case r.Jump():
                if node.label.key not in labels:
                    self._c.not_found(f"Label not defined: {node.label.text}", node.label.at)
                again, after = labels[node.label.key]
                self._blocks[at].next = str(again if node.word == "ITERATE" else after)
                return self._block()
            case r.Loop():
                return self._repeated(node, at, names, labels)
            case _:
                self._c.refuse("Such a statement of a function", node.at)

    def _all(self, nodes: Sequence[ExtraControl], at: int, names: _Names, labels: _Labels) -> int:
        for node in nodes:
            at = self._statement(node, at, names, labels)
        return at

    def _assign(self, node: r.Assign, at: int, names: _Names) -> int:
        target = names.get(node.target.key)
        if target is None:
            self._c.not_found(f"Variable cannot be resolved: {node.target.text}", node.target.at)
        what = f"Value of SET '{node.target.text}'"
        return self._set(target, self._in(node.value, names, target.type, what), at)

    def _set(self, target: _Variable, value: str, at: int) -> int:
        block = self._blocks[at]
        block.sets[target.slot] = value
        after = self._block()
        block.next = str(after)
        return after

    def _compound(self, node: r.Compound, at: int, names: _Names, labels: _Labels) -> int:
        own = dict(names)
        for declared in node.variables:
            kind = _type(self._c, declared.type, declared.at)
            default = f"CAST(NULL AS {self._c.type_name(kind)})"
            if declared.default is not None:
                default = self._in(declared.default, own, kind, "Value of DEFAULT")
            for ident in declared.names:
                if ident.key in own:
                    message = f"Variable already declared in this scope: {ident.text}"
                    self._c.mismatch(message, ident.at)
            for ident in declared.names:
                own[ident.key] = self._variable(kind)
                at = self._set(own[ident.key], default, at)
        return self._all(node.body, at, own, labels)

    def _branches(self, node: r.Branches, at: int, names: _Names, labels: _Labels) -> int:
        """Each branch begins a block; all go on in the block behind."""
        after, targets = self._block(), []
        tests = self._tests(node, names)
        for _, body in node.whens:
            start = self._block()
            end = self._all(body, start, names, labels)
            self._blocks[end].next = str(after)
            targets.append(start)
        otherwise = after
        if node.otherwise:
            otherwise = self._block()
            end = self._all(node.otherwise, otherwise, names, labels)
            self._blocks[end].next = str(after)
        whens = " ".join(
            f"WHEN {test} THEN {target}" for test, target in zip(tests, targets, strict=True)
        )
        self._blocks[at].next = f"CASE {whens} ELSE {otherwise} END"
        return after

    def _tests(self, node: r.Branches, names: _Names) -> list[str]:
        if node.operand is None:
            words = ("IF statement", "ELSEIF clause") if node.word == "IF" else ("WHEN clause",) * 2
            return [
                self._in(condition, names, t.BOOLEAN, f"Condition of {words[number > 0]}")
                for number, (condition, _) in enumerate(node.whens)
            ]
        with self._c.inside(self._scope(names)):
            operand = self._c.expr(node.operand)
            if BY_CHANCE.search(operand.sql):
                self._c.refuse("A CASE of a value by chance in a function", node.at)
            return [
                self._c.compare("=", operand, self._c.expr(when), when.at) for when, _ in node.whens
            ]

    def _repeated(self, node: r.Loop, at: int, names: _Names, labels: _Labels) -> int:
        self._has_loop = True
        top, body, after = self._block(), self._block(), self._block()
        self._blocks[at].next = str(top)
        if node.label is not None:
            if node.label.key in labels:
                message = f"Label already declared in this scope: {node.label.text}"
                self._c.mismatch(message, node.label.at)
            labels = labels | {node.label.key: (top, after)}
        what = f"Condition of {node.word} statement"
        end = self._all(node.body, body, names, labels)
        self._blocks[end].next = str(top)
        self._blocks[top].next = str(body)
        if node.condition is not None:
            test = self._in(node.condition, names, t.BOOLEAN, what)
            if node.word == "WHILE":
                self._blocks[top].next = f"CASE WHEN {test} THEN {body} ELSE {after} END"
            else:
                self._blocks[end].next = f"CASE WHEN {test} THEN {after} ELSE {body} END"
        return after

    # --- expressions ------------------------------------------------------------------------

    def _scope(self, names: _Names) -> Scope:
        return Scope(
            [Column(key, key, f"{self._state}.{v.slot}", v.type) for key, v in names.items()]
        )

    def _in(self, node: ast.Expr, names: _Names, kind: Type, what: str) -> str:
        with self._c.inside(self._scope(names)):
            return self._brought(node, kind, what)

    def _brought(self, node: ast.Expr, kind: Type, what: str) -> str:
        value = self._c.expr(node)
        if not fits(value.type, kind):
            actual = f"{what} must evaluate to {kind} (actual: {value.type})"
            self._c.mismatch(actual, node.at)
        return f"CAST({self._c.exact(self._c.cast_to(value, kind))} AS {self._c.type_name(kind)})"

    # --- states -----------------------------------------------------------------------------

    def _first_state(self) -> str:
        values = {variable.slot: value.sql for variable, value in zip(
            self._first.values(), self._values, strict=True
        )}  # fmt: skip
        slots = [
            (slot, f"CAST({values.get(slot, 'NULL')} AS {self._c.type_name(kind)})")
            for slot, kind in self._types.items()
        ]
        result = f"CAST(NULL AS {self._c.type_name(self._found.returns)})"
        return self._c.state([("pc", "0"), *slots, ("r", result)])

    def _next_state(self) -> str:
        """Of the state that has a name, the one behind its block."""
        s = self._state
        cases = []
        for number, block in enumerate(self._blocks):
            slots = [(slot, block.sets.get(slot, f"{s}.{slot}")) for slot in self._types]
            parts = [("pc", block.next), *slots, ("r", block.result or f"{s}.r")]
            cases.append(f"WHEN {number} THEN {self._c.state(parts)}")
        return f"CASE {s}.pc {' '.join(cases)} ELSE {s} END"

    def _fold(self) -> str:
        """No block comes twice, so there are at most as many steps as blocks."""
        steps = len(self._blocks)
        return f"({self._c.folded(steps, self._state, self._next_state(), self._first_state())}).r"

    def _loop(self) -> str:
        at = self._found.node.at
        if self._is_in_lambda:
            self._c.refuse("A function with loops within a lambda", at)
        if self._found.node.is_deterministic is False:
            self._c.refuse("A function with loops that is not deterministic", at)
        state, first = self._next_state(), self._first_state()
        return self._c.walked(self._state, state, first, MAX_STEPS, at)
