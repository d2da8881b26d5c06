"""From the text of a kernel in PTX to a table of numbers that the interpreter runs."""

import re
from typing import NamedTuple

import numpy as np

from .lines import Lines
from .rules import PLAIN, RULES

# Instructions that are no rules: what they do to memory, to other threads and to the next line.
SPECIAL = ("load", "store", "parameter", "built_in", "barrier", "fence", "add", "branch", "exit")
SPECIAL += ("pack", "unpack")
CODES = {name: number for number, name in enumerate(SPECIAL)}
# Instructions that do the same have one code.
_RULES = list(dict.fromkeys(PLAIN.values()))
CODES |= {name: len(SPECIAL) + _RULES.index(rule) for name, rule in PLAIN.items()}

# Columns of the table.
CODE, GUARD, NEGATED, D, A, B, C, NUMBER, D1, D2, D3, SPACE, WIDTH, COUNT, ORDER = range(15)
COLUMNS = 15

GLOBAL, SHARED = range(2)
# How an access is ordered: not at all, past the first cache, or as an acquire or a relaxed one.
WEAK, UNCACHED, RELAXED, ACQUIRE = range(4)
ORDERS = {"": WEAK, "cg": UNCACHED, "volatile": RELAXED, "relaxed": RELAXED, "acquire": ACQUIRE}

BUILT_IN = ("tid.x", "tid.y", "tid.z", "ntid.x", "ntid.y", "ntid.z")
BUILT_IN += ("ctaid.x", "ctaid.y", "ctaid.z", "nctaid.x", "nctaid.y", "nctaid.z")
BUILT_IN += ("dynamic_smem_size",)

_INSTRUCTION = re.compile(r"(?:@(!?)(%\w+)\s+)?([a-z][\w.:]*)\s*(.*)")
_ACCESS = re.compile(
    r"(ld|st)(?:\.(volatile|relaxed|acquire))?(?:\.gpu)?\.(global|shared)"
    r"(?:\.(cg))?(?:\.v([24]))?\.[busf](32|64)"
)
_ADDRESS = re.compile(r"\[\s*([%\w]+)\s*(?:\+\s*(-?\d+))?\s*\]")


class Program(NamedTuple):
    """A kernel.

    Attributes
    ----------
    name : str
        Its name in PTX.
    table : array (instructions, COLUMNS) of int32
        Registers are rows, numbers of 32 bits stand in them; see `columns`.
    numbers : array (instructions,) of int64
        What is added to an address, the line a branch goes to, the argument's number.
    constants : array (k, 2) of uint64
        Rows of registers that never change, and what is in them.
    rows : int
        Registers of a thread.
    lines : list of str
        The text of each instruction.
    places : list of tuple of str
        Where in Python each instruction comes from, as far as the text says so; see `Lines`.
    """

    name: str
    table: np.ndarray
    numbers: np.ndarray
    constants: np.ndarray
    rows: int
    lines: list[str]
    places: list[tuple[str, ...]]


class _Reader:
    """Rows of registers and constants, by name."""

    def __init__(self):
        self.rows = {}
        self.constants = {}
        self.shared = set()

    def row(self, operand, line):
        """Return the row of a register or a constant."""
        if operand not in self.rows:
            if not operand.startswith("%"):
                self.constants[len(self.rows)] = self._value(operand, line)
            self.rows[operand] = len(self.rows)
        return self.rows[operand]

    def _value(self, operand, line):
        """Return the bits of a constant."""
        if operand in self.shared:
            return 0  # a block's shared memory begins at 0
        if operand[:2] == "0f":
            return int(operand[2:], 16)
        if operand[:2] == "0d":
            return int(operand[2:], 16)
        try:
            return int(operand, 0) % 2**64
        except ValueError:
            raise NotImplementedError(f"operand {operand} in: {line}") from None


def parse(text):
    """Return the one kernel of a text in PTX."""
    reader = _Reader()
    reader.shared = set(re.findall(r"\.extern \.shared \.align \d+ \.b8 (\w+)\[\]", text))
    name = re.search(r"\.entry\s+(\w+)", text)[1]
    parameters = re.findall(r"\.param \.u64 (\w+)", text)
    begin = text.index(")", text.index(".entry"))
    python = Lines(text)
    lines = []
    places = []
    labels = {}
    for raw in text[begin : text.index("\n}", begin)].splitlines():
        line = raw.split("//")[0].strip()
        if line.startswith(".loc"):
            python.read(line)
            continue
        if line.endswith(":"):
            labels[line[:-1]] = len(lines)
            continue
        # Inline assembly may have several instructions on a line, in braces.
        inner = line[1:-1] if line.startswith("{") and line.endswith("}") else line
        parts = (part.strip() for part in inner.split(";"))
        lines += [part for part in parts if part and part[0] not in ".){}"]
        places += [python.here] * (len(lines) - len(places))
    table = np.full((len(lines), COLUMNS), -1, np.int32)
    numbers = np.zeros(len(lines), np.int64)
    for at, line in enumerate(lines):
        negated, guard, instruction, rest = _INSTRUCTION.fullmatch(line).groups()
        if guard:
            table[at, GUARD] = reader.row(guard, line)
            table[at, NEGATED] = bool(negated)
        columns, number = _encoded(reader, parameters, labels, instruction, rest, line)
        numbers[at] = number
        for column, value in columns.items():
            table[at, column] = value
    constants = np.array(list(reader.constants.items()), np.uint64).reshape(-1, 2)
    return Program(name, table, numbers, constants, len(reader.rows), lines, places)


def _encoded(reader, parameters, labels, instruction, rest, line):
    """Return what is in the columns of an instruction, and its number."""
    operands = [part.strip() for part in re.split(r",(?![^{]*\})", rest)] if rest else []
    access = _ACCESS.fullmatch(instruction)
    if access:
        return _access(reader, access, operands, line)
    if instruction == "ld.param.u64":
        number = parameters.index(operands[1].strip("[]"))
        return {CODE: CODES["parameter"], D: reader.row(operands[0], line)}, number
    if instruction in ("bra", "bra.uni"):
        return {CODE: CODES["branch"]}, labels[operands[0]]
    if instruction in ("ret", "exit"):
        return {CODE: CODES["exit"]}, 0
    if instruction in ("bar.sync", "barrier.sync") and operands == ["0"]:
        return {CODE: CODES["barrier"]}, 0
    if instruction == "fence.acq_rel.gpu":
        return {CODE: CODES["fence"]}, 0
    if instruction == "red.relaxed.gpu.global.add.u64":
        address, number = _address(reader, operands[0], line)
        value = reader.row(operands[1], line)
        return {CODE: CODES["add"], A: address, B: value, SPACE: GLOBAL}, number
    if instruction == "mov.u32" and operands[1].lstrip("%") in BUILT_IN:
        number = BUILT_IN.index(operands[1].lstrip("%"))
        return {CODE: CODES["built_in"], D: reader.row(operands[0], line)}, number
    if instruction == "mov.b64" and operands[0].startswith("{"):
        low, high = (reader.row(part.strip(), line) for part in operands[0].strip("{}").split(","))
        return {CODE: CODES["unpack"], D: low, D1: high, A: reader.row(operands[1], line)}, 0
    if instruction == "mov.b64" and operands[1].startswith("{"):
        low, high = (reader.row(part.strip(), line) for part in operands[1].strip("{}").split(","))
        return {CODE: CODES["pack"], D: reader.row(operands[0], line), A: low, B: high}, 0
    if instruction not in RULES or len(operands) != 1 + len(RULES[instruction].operands):
        raise NotImplementedError(f"the machine does not know the instruction: {line}")
    columns = dict(
        zip((D, A, B, C), (reader.row(operand, line) for operand in operands), strict=False)
    )
    return columns | {CODE: CODES[instruction]}, 0


def _access(reader, access, operands, line):
    """Return the columns and the number of a load or a store."""
    kind, order, space, cache, count, width = access.groups()
    values, address = operands if kind == "ld" else operands[::-1]
    row, number = _address(reader, address, line)
    columns = {
        CODE: CODES["load" if kind == "ld" else "store"],
        A: row,
        SPACE: GLOBAL if space == "global" else SHARED,
        WIDTH: int(width) // 32,
        COUNT: int(count or 1),
        ORDER: ORDERS[order or cache or ""],
    }
    for column, value in zip((D, D1, D2, D3), values.strip("{}").split(","), strict=False):
        columns[column] = reader.row(value.strip(), line)
    return columns, number


def _address(reader, operand, line):
    """Return the row of an address and what is added to it."""
    base, offset = _ADDRESS.fullmatch(operand).groups()
    return reader.row(base, line), int(offset or 0)
