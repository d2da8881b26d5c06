"""Instructions without memory, run in some lanes of a warp; made of the table in `rules`."""

import re

import numba as nb
import numpy as np

from .parse import CODES
from .rules import ARRAYS, CALLED, PLAIN, WIDTH

SOME = 16  # rules of a function


def _branch(number, rule):
    """Return the lines that obey a rule in some lanes of a warp."""

    def element(kind, row):
        place = f"{row} + lane" if WIDTH[kind] == 64 else f"2 * ({row} + lane)"
        return f"{ARRAYS.get(kind, kind)}[{place}]"

    # Each rule has variables of its own, since each has types of its own.
    names = {name: f"{name}{number}" for name in "abc"[: len(rule.operands)]}
    meaning = re.sub(r"\b[abc]\b", lambda found: names[found[0]], rule.meaning)
    if rule.result == "pred" != rule.operands[0]:
        meaning = f"1 if {meaning} else 0"
    return [
        f"    elif code == {number}:",
        "        for k in range(count):",
        "            lane = lanes[k]",
        *(
            f"            {name} = {element(kind, row)}"
            for (row, name), kind in zip(names.items(), rule.operands, strict=True)
        ),
        f"            {element(rule.result, 'd')} = {meaning}",
    ]


def _compiled(lines, names):
    """Return the last function of a source, compiled."""
    exec("\n".join(lines), names)
    # Not kept on disk by itself, since it is in no module; it is a part of what is kept of `run`.
    return nb.njit(error_model="numpy")(names["obey"])


def _dispatch():
    """Return the function that obeys the rule of a code, rows given by their first elements."""
    arguments = "u32, s32, f32, u64, s64, f64, d, a, b, c, lanes, count"
    rules = sorted({CODES[name]: rule for name, rule in PLAIN.items()}.items())
    names = {}
    begin = [f"def obey(code, {arguments}):", "    if code < 0:", "        return"]
    lines = begin.copy()
    # Numba's time grows with the square of a function's length.
    for first in range(0, len(rules), SOME):
        some = rules[first : first + SOME]
        parts = [line for number, rule in some for line in _branch(number, rule)]
        names[f"some{first}"] = _compiled([*begin, *parts], {"np": np} | CALLED)
        lines += [f"    elif code <= {some[-1][0]}:", f"        some{first}(code, {arguments})"]
    return _compiled(lines, names)


obey = _dispatch()
