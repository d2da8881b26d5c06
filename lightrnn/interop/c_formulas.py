"""The formulas of `cells.py` in C: a cell's forward function becomes a loop over its units."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import Counter

from ..cells import CELLS, Cell

# Functions of `elementwise.py` by their names in C; others keep their name.
_FUNCTIONS = {"tanh": "tanhf", "exp": "expf"}


def cell_function(name: str, called: str = "") -> str:
    """Return the C function that takes one step of a cell, from its slots and its old state.

    It has the name `called`, by default that of the cell.

    Examples
    --------
    >>> print(cell_function("rnn"))
    /* One step of rnn cells: h = tanh(a).
     *
     * a (units,) are the sums that feed h; the state h (units,) is replaced. */
    static void rnn(const float *a, int units, float *h)
    {
        for (int k = 0; k < units; k++) {
            const float new_h = tanhf(a[k]);
            h[k] = new_h;
        }
    }
    """
    cell = CELLS[name]
    called = called or name
    states = ", ".join(f"float *{state}" for state in cell.states)
    lines = [f"        {line}" for line in _Translation(cell).lines]
    return "\n".join(
        [
            _comment(called, cell),
            f"static void {called}(const float *a, int units, {states})",
            "{",
            "    for (int k = 0; k < units; k++) {",
            *lines,
            "    }",
            "}",
        ]
    )


def count_exponentials(name: str) -> int:
    """Return how many exponential functions a step of one unit of a cell computes.

    Examples
    --------
    >>> count_exponentials("lstm"), count_exponentials("ffnn")
    (5, 0)
    """
    calls = (node for node in ast.walk(_forward(CELLS[name])) if isinstance(node, ast.Call))
    counted = ("tanh", "sigmoid", "exp", "normal_cdf")
    return sum(ast.unparse(call.func) in counted for call in calls)


def _comment(name: str, cell: Cell) -> str:
    """Return the comment above the function: formula and shapes."""
    formula = (cell.forward.__doc__ or "").replace("``", "").rstrip(".")
    count = f"{len(cell.slots)} * units" if len(cell.slots) > 1 else "units"
    states = " and ".join(cell.states)
    verb = "are" if len(cell.states) > 1 else "is"
    shapes = (
        f"a ({count},) are the sums that feed {', '.join(cell.slots)}; "
        f"the state {states} (units,) {verb} replaced."
    )
    if not cell.recurrent:
        shapes = f"a ({count},) are the sums; {states} (units,) {verb} set."
    text = textwrap.wrap(f"One step of {name} cells: {formula}.", 96)
    return (
        "/* " + "\n * ".join([*text, "", *textwrap.wrap(shapes, 96)]).replace(" \n", "\n") + " */"
    )


def _forward(cell: Cell) -> ast.FunctionDef:
    """Return the syntax tree of a cell's forward function."""
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(cell.forward))).body
    assert isinstance(function, ast.FunctionDef)
    return function


class _Translation(ast.NodeTransformer):
    """Statements of a forward function in C.

    Those are assignments of names, and at the end the return of the new state and of what only the
    backward function needs. Python's names and arithmetic are C's.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._gates = {gate: f"{role} gate" for role, gate in cell.roles}
        function = _forward(cell)
        stores = (node for node in ast.walk(function) if isinstance(node, ast.Name))
        # Whatever is assigned twice is no constant.
        self._assigned = Counter(n.id for n in stores if isinstance(n.ctx, ast.Store))
        self._declared: set[str] = set()
        self.lines: list[str] = []
        for statement in function.body[1:]:  # after the docstring
            self._add(statement)

    def _add(self, statement: ast.stmt) -> None:
        """Add the lines of one statement."""
        if isinstance(statement, ast.Return) and isinstance(statement.value, ast.Tuple):
            self._add_states(statement.value.elts[0])
        elif isinstance(statement, ast.Assign):
            (target,) = statement.targets
            if isinstance(target, ast.Tuple):  # all slots at once
                for i, name in enumerate(target.elts):
                    self._assign(ast.unparse(name), self._slot(i))
            else:
                gate = self._gates.get(ast.unparse(target), "")
                note = f"  /* {gate} */" if gate else ""
                self._assign(ast.unparse(target), self._expression(statement.value), note)

    def _add_states(self, states: ast.expr) -> None:
        """Add the assignments of the new state."""
        values = states.elts if isinstance(states, ast.Tuple) else None
        for i, name in enumerate(self._cell.states):
            value = self._slot(i) if values is None else self._expression(values[i])
            self.lines.append(f"{name}[k] = {value};")

    def _assign(self, name: str, value: str, note: str = "") -> None:
        kind = "float " if self._assigned[name] > 1 else "const float "
        declaration = "" if name in self._declared else kind
        self._declared.add(name)
        self.lines.append(f"{declaration}{self._local(name)} = {value};{note}")

    def _local(self, name: str) -> str:
        """Return the name of a local value; an array of the state may have its own."""
        return f"new_{name}" if name in self._cell.states else name

    def _slot(self, i: int) -> str:
        """Return the sum of a slot of unit k."""
        return ("a[k]", "a[units + k]")[i] if i < 2 else f"a[{i} * units + k]"

    def _expression(self, node: ast.expr) -> str:
        return ast.unparse(self.visit(node))

    def visit_Name(self, node: ast.Name) -> ast.Name:
        """Return a value's or a function's name in C."""
        return ast.Name(_FUNCTIONS.get(node.id, self._local(node.id)), node.ctx)

    def visit_Subscript(self, node: ast.Subscript) -> ast.Name:
        """Return an element of the slots or of the state in C."""
        i = ast.literal_eval(node.slice)
        of_slots = ast.unparse(node.value) == "slots"
        return ast.Name(self._slot(i) if of_slots else f"{self._cell.states[i]}[k]", node.ctx)
