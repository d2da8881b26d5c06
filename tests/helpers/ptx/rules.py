"""PTX's instructions without memory: for each its meaning, as an expression of Numba.

`a`, `b` and `c` are the operands, of the instruction's type; results are rounded or cut to the type
of the result. The titles are those of sections in the PTX ISA's chapter "Instructions".
"""

from typing import NamedTuple

import numpy as np
from numba.extending import intrinsic

from .jit import njit

# -- what expressions call -------------------------------------------------------------------------


@intrinsic
def fma(context, a, b, c):
    """Return ``a * b + c``, rounded once."""

    def generate(context, builder, signature, args):
        return builder.fma(*args)

    return a(a, a, a), generate


@njit
def quotient(a, b):
    """Return the quotient of signed integers, cut towards zero; any number for a divisor of 0."""
    if b == 0:
        return -1
    if b == -1:
        return -a
    whole = a // b
    return whole + 1 if whole < 0 and whole * b != a else whole


@njit
def remainder(a, b):
    """Return what is left by `quotient`; it has the sign of `a`."""
    return a if b == 0 else a - b * quotient(a, b)


@njit
def high_product(a, b):
    """Return the upper 64 of the 128 bits of the product of signed integers."""
    low = np.int64(0xFFFFFFFF)
    a0 = a & low
    a1 = a >> 32
    b0 = b & low
    b1 = b >> 32
    # a0 * b0 is unsigned, of 64 bits.
    carried = np.int64((np.uint64(a0) * np.uint64(b0)) >> np.uint64(32))
    middle = a1 * b0 + carried
    other = a0 * b1 + (middle & low)
    return a1 * b1 + (middle >> 32) + (other >> 32)


@njit
def towards_zero(a, b):
    """Return the sum of float32, cut towards zero."""
    x = np.float64(a)
    y = np.float64(b)
    total = x + y
    # The error of the sum (Knuth 1969).
    part = total - x
    lost = (x - (total - part)) + (y - part)
    found = np.float32(total)
    away = abs(np.float64(found)) > abs(total)
    if away or (np.float64(found) == total and lost * total < 0):
        return np.nextafter(found, np.float32(0))
    return found


@njit
def upper_reciprocal(a):
    """Return the reciprocal of a float64, of which the lower 32 bits are 0."""
    cut = np.array([1.0 / a]).view(np.uint64)
    cut[0] &= np.uint64(0xFFFFFFFF00000000)
    return cut.view(np.float64)[0]


CALLED = {
    function.__name__: function
    for function in (quotient, remainder, high_product, towards_zero, upper_reciprocal)
} | {"fma": fma}


# -- the rules -------------------------------------------------------------------------------------


class Rule(NamedTuple):
    """An instruction: the types of its result and of its operands, its meaning and its section."""

    result: str
    operands: tuple[str, ...]
    meaning: str
    section: str


WIDTH = {"pred": 32, "b32": 32, "u32": 32, "s32": 32, "f32": 32}
WIDTH |= {"b64": 64, "u64": 64, "s64": 64, "f64": 64}
ARRAYS = {"pred": "u32", "b32": "u32", "b64": "u64"}  # whose elements a type has, if not its own
INTEGERS = ("s32", "u32", "s64", "u64")
FLOATS = ("f32", "f64")
BITS = ("b32", "b64")

RULES: dict[str, Rule] = {}


def same(names, kinds, meaning, section, count=2):
    """Add instructions whose operands and result are of one type, which ends their name."""
    for name in names.split():
        for kind in kinds:
            RULES[f"{name}.{kind}"] = Rule(kind, (kind,) * count, meaning, section)


def one(name, result, operands, meaning, section):
    """Add an instruction."""
    RULES[name] = Rule(result, tuple(operands.split()), meaning, section)


ARITHMETIC = "Integer Arithmetic Instructions: "
same("add", INTEGERS, "a + b", ARITHMETIC + "add")
same("sub", INTEGERS, "a - b", ARITHMETIC + "sub")
same("mul.lo", INTEGERS, "a * b", ARITHMETIC + "mul")
same("mad.lo", INTEGERS, "a * b + c", ARITHMETIC + "mad", 3)
same("div", ("u32", "u64"), "a // b if b else ~b", ARITHMETIC + "div")
same("rem", ("u32", "u64"), "a % b if b else a", ARITHMETIC + "rem")
same("div", ("s32", "s64"), "quotient(np.int64(a), np.int64(b))", ARITHMETIC + "div")
same("rem", ("s32", "s64"), "remainder(np.int64(a), np.int64(b))", ARITHMETIC + "rem")
same("neg", ("s32", "s64"), "-a", ARITHMETIC + "neg", 1)
same("min", INTEGERS, "min(a, b)", ARITHMETIC + "min")
same("max", INTEGERS, "max(a, b)", ARITHMETIC + "max")
one("mul.wide.s32", "s64", "s32 s32", "np.int64(a) * np.int64(b)", ARITHMETIC + "mul")
one("mul.wide.u32", "u64", "u32 u32", "np.uint64(a) * np.uint64(b)", ARITHMETIC + "mul")
one("mul.hi.s64", "s64", "s64 s64", "high_product(a, b)", ARITHMETIC + "mul")

FLOATING = "Floating-Point Instructions: "
same("add add.rn", FLOATS, "a + b", FLOATING + "add")
same("sub sub.rn", FLOATS, "a - b", FLOATING + "sub")
same("mul mul.rn", FLOATS, "a * b", FLOATING + "mul")
same("fma.rn", FLOATS, "fma(a, b, c)", FLOATING + "fma", 3)
same("div.rn", FLOATS, "a / b", FLOATING + "div")
same("rcp.rn", ("f32",), "np.float32(1) / a", FLOATING + "rcp", 1)
same("rcp.rn", ("f64",), "1.0 / a", FLOATING + "rcp", 1)
same("rcp.approx.ftz", ("f64",), "upper_reciprocal(a)", FLOATING + "rcp.approx.ftz.f64", 1)
same("sqrt.rn", FLOATS, "np.sqrt(a)", FLOATING + "sqrt", 1)
same("neg", FLOATS, "-a", FLOATING + "neg", 1)
same("abs", FLOATS, "abs(a)", FLOATING + "abs", 1)
same("add.rz", ("f32",), "towards_zero(a, b)", FLOATING + "add")

LOGIC = "Logic and Shift Instructions: "
for name, sign in {"and": "&", "or": "|", "xor": "^"}.items():
    same(name, (*BITS, "pred"), f"a {sign} b", LOGIC + name)
same("not", BITS, "~a", LOGIC + "not", 1)
same("not", ("pred",), "a ^ np.uint32(1)", LOGIC + "not", 1)
for bits in (32, 64):
    # A shift by more than the width is one by the width.
    shifted = f"np.uint{bits}(a) {{}} np.uint{bits}(b) if b < {bits} else np.uint{bits}(0)"
    one(f"shl.b{bits}", f"b{bits}", f"b{bits} u32", shifted.format("<<"), LOGIC + "shl")
    one(f"shr.u{bits}", f"u{bits}", f"u{bits} u32", shifted.format(">>"), LOGIC + "shr")
    signed = f"a >> min(np.int64(b), {bits - 1})"
    one(f"shr.s{bits}", f"s{bits}", f"s{bits} u32", signed, LOGIC + "shr")

COMPARISON = "Comparison and Selection Instructions: "
SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
for name, sign in SIGNS.items():
    for kind in (*INTEGERS, *BITS):
        one(f"setp.{name}.{kind}", "pred", f"{kind} {kind}", f"a {sign} b", COMPARISON + "setp")
    for kind in FLOATS:
        # Without u a comparison with NaN is false, with u true.
        for letter, meaning in {
            "": f"a {sign} b and a == a and b == b",
            "u": f"a {sign} b or a != a or b != b",
        }.items():
            one(
                f"setp.{name}{letter}.{kind}",
                "pred",
                f"{kind} {kind}",
                meaning,
                COMPARISON + "setp",
            )
for kind in FLOATS:
    for name, meaning in {"num": "a == a and b == b", "nan": "a != a or b != b"}.items():
        one(f"setp.{name}.{kind}", "pred", f"{kind} {kind}", meaning, COMPARISON + "setp")
for kind in (*INTEGERS, *BITS, *FLOATS):
    one(f"selp.{kind}", kind, f"{kind} {kind} pred", "a if c else b", COMPARISON + "selp")

MOVEMENT = "Data Movement and Conversion Instructions: "
same("mov", (*INTEGERS, *BITS, *FLOATS, "pred"), "a", MOVEMENT + "mov", 1)
for space in ("global", "shared"):
    one(f"cvta.to.{space}.u64", "u64", "u64", "a", MOVEMENT + "cvta")
for result, operand in (("u32", "u64"), ("s32", "s64"), ("u64", "u32"), ("s64", "s32")):
    one(f"cvt.{result}.{operand}", result, operand, "a", MOVEMENT + "cvt")
for result in FLOATS:
    for operand in INTEGERS:
        meaning = "np.float32(a)" if result == "f32" else "np.float64(a)"
        one(f"cvt.rn.{result}.{operand}", result, operand, meaning, MOVEMENT + "cvt")
one("cvt.f64.f32", "f64", "f32", "np.float64(a)", MOVEMENT + "cvt")
one("cvt.rn.f32.f64", "f32", "f64", "np.float32(a)", MOVEMENT + "cvt")


# -- rules that are the same -----------------------------------------------------------------------

# Meanings that have the same bits for numbers with a sign, without one, and for mere bits.
SIGNLESS = {"a + b", "a - b", "a * b", "a * b + c", "-a", "a & b", "a | b", "a ^ b", "~a"}
SIGNLESS |= {"a == b", "a != b", "a", "a if c else b"}


def _plain(rule):
    """Return a rule without the signs and the section that make no difference."""
    kinds = rule.result, *rule.operands
    widths = {WIDTH[kind] for kind in kinds if kind != "pred"}
    moves = rule.meaning in ("a", "a if c else b")
    if rule.meaning in SIGNLESS and len(widths) == 1 and (moves or not {*kinds} & {*FLOATS}):
        plain = [kind if kind == "pred" else f"u{WIDTH[kind]}" for kind in kinds]
        rule = Rule(plain[0], tuple(plain[1:]), rule.meaning, "")
    return rule._replace(section="")


PLAIN = {name: _plain(rule) for name, rule in RULES.items()}
