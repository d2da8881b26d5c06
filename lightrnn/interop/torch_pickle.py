"""The pickle in a file of ``torch.save``, read as data: nothing is imported, called or executed.

Python's own unpickler calls whatever a file names. The one here builds dicts, lists, tuples,
numbers and text, and knows by name the few functions that stand for a tensor. Whatever else a
checkpoint holds beside its weights (a Namespace, a path, a NumPy scalar) becomes an `Opaque`, which
is nothing but a name. `pickletools` splits the file into instructions and checks their lengths.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from .foreign import UnsupportedError


class Opaque:
    """A class or function that a pickle names, or an object that it would make.

    None is imported, called or made. Each differs from all others, so that it can be a dict's key.

    Parameters
    ----------
    name : str
        The class or function, with its module.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        """Return the name."""
        return self.name


class Storage(NamedTuple):
    """Where a tensor's numbers are."""

    key: str  # the archive's member
    kind: str  # the type of the numbers as torch names it
    length: int  # how many there are


class Tensor(NamedTuple):
    """A view of a storage; offset and strides are in elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


_MARK = object()
# Instructions whose argument is the value, and those that mean one value.
_LITERALS = frozenset(
    (
        "BININT BININT1 BININT2 LONG1 LONG4 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
        "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"
    ).split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "MARK": _MARK, "EMPTY_TUPLE": ()}
MOST_AXES = 8
# A tensor takes about 40 instructions, a number of a list one. This many take half a second.
_MOST_INSTRUCTIONS = 500_000
# A pickle can use one text again and again; what is done with a name takes time for its length.
_LONGEST_NAME = 200
_MOST_NUMBERED = 2**16  # parameters that an optimizer's state numbers
_LARGEST = 2**62  # no array is as large; arithmetic on larger numbers would take time


def are_sizes(values: Iterable[Any]) -> bool:
    """Whether all values are integers that may be sizes; True is none, nor is a float."""
    return all(type(value) is int and 0 <= value < _LARGEST for value in values)


def read(pickled: bytes) -> Any:
    """Return the contents of a pickle of torch's, with a `Tensor` for every tensor.

    Parameters
    ----------
    pickled : bytes
        The archive's ``data.pkl``.

    Raises
    ------
    UnsupportedError
        If it holds what `torch.save` does not write by default.
    ValueError, KeyError, IndexError, TypeError, AttributeError
        If it is damaged.
    """
    import pickletools

    unpickler = _Unpickler()
    instructions = islice(pickletools.genops(pickled), _MOST_INSTRUCTIONS)
    for opcode, argument, _ in instructions:
        if opcode.name == "STOP":  # what follows the end is not read
            return unpickler.stack.pop()
        unpickler.execute(opcode.name, argument)
    raise UnsupportedError(f"more than {_MOST_INSTRUCTIONS:,} values, or no end")


class _Unpickler:
    """A pickle's stack and memo, and the effect of each instruction on them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def execute(self, opcode: str, argument: Any) -> None:
        """Carry out one instruction."""
        match opcode:
            case "PROTO" | "FRAME":  # the version, and the length of what follows
                pass
            case "REDUCE" | "NEWOBJ":
                function, arguments = self.pop(2)
                self.stack.append(_result(function.name, arguments))
            case "NEWOBJ_EX":
                function, *_ = self.pop(3)
                self.stack.append(Opaque(function.name))
            case "BUILD":
                self.drop_attributes()
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "SETITEM":
                self.set_items(self.pop(2))
            case "SETITEMS":
                self.set_items(self.pop_marked())
            case "APPEND":
                self.extend(self.pop(1))
            case "APPENDS" | "ADDITEMS":
                self.extend(self.pop_marked())
            case "POP":
                self.stack.pop()
            case "POP_MARK":
                self.pop_marked()
            case _:
                self.stack.append(self.value(opcode, argument))

    def value(self, opcode: str, argument: Any) -> Any:
        """Return the value that an instruction pushes; it may take others from the stack."""
        if opcode in _LITERALS:
            return argument
        if opcode in _CONSTANTS:
            return _CONSTANTS[opcode]
        match opcode:
            case "EMPTY_DICT":
                return {}
            case "EMPTY_LIST" | "EMPTY_SET":  # a set is read as a list, so that nothing is hashed
                return []
            case "FROZENSET":
                return self.pop_marked()
            case "TUPLE":
                return tuple(self.pop_marked())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                return tuple(self.pop(int(opcode[-1])))
            case "BINGET" | "LONG_BINGET":
                return self.memo[argument]
            case "GLOBAL":
                return _named(*argument.split(" ", 1))
            case "STACK_GLOBAL":
                return _named(*self.pop(2))
            case "BINPERSID":
                return _storage(self.pop(1)[0])
        raise UnsupportedError(f"the pickle instruction {opcode}")

    def pop(self, count: int) -> list[Any]:
        """Take the last values from the stack."""
        start = len(self.stack) - count
        if start < 0:
            raise IndexError("the stack is too short")
        values = self.stack[start:]
        del self.stack[start:]
        if any(value is _MARK for value in values):
            raise ValueError("a mark among values")
        return values

    def pop_marked(self) -> list[Any]:
        """Take the values after the last mark, and the mark."""
        values: list[Any] = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def set_items(self, items: list[Any]) -> None:
        """Fill the dict on top of the stack with keys and values in turn."""
        target = self.stack[-1]
        if type(target) is Opaque:
            return
        if type(target) is not dict:
            raise TypeError("items for something that is not a dict")
        target.update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def extend(self, items: list[Any]) -> None:
        """Lengthen the list on top of the stack."""
        target = self.stack[-1]
        if type(target) is Opaque:
            return
        if type(target) is not list:
            raise TypeError("items for something that is not a list")
        target.extend(items)

    def drop_attributes(self) -> None:
        """Drop an object's attributes; a state_dict is an OrderedDict with `_metadata`."""
        self.pop(1)
        if type(self.stack[-1]) not in (dict, Opaque):
            raise UnsupportedError(f"a {type(self.stack[-1]).__name__} with attributes")


def _key(key: Any) -> Any:
    """Return a dict's key if it is a name, or the number of a parameter."""
    # A file chooses the hashes of its numbers and tuples, and could choose equal ones, with which a
    # dict takes for ever; it cannot choose those of text.
    if type(key) is str or (type(key) is int and 0 <= key < _MOST_NUMBERED):
        return key
    return Opaque(type(key).__name__)


def _named(module: str, name: str) -> Opaque:
    """Return what stands for a class or function, by its name in Python 3."""
    if len(module) + len(name) > _LONGEST_NAME:
        raise ValueError("a class or function with too long a name")
    return Opaque(f"{module}.{name}".replace("__builtin__", "builtins"))


def _storage(description: Any) -> Storage:
    """Return the storage that a persistent id describes."""
    kind, storage, key, _, count = description
    if kind != "storage" or type(count) is not int or type(key) is not str:
        raise ValueError("a storage without place or size")
    if len(key) > _LONGEST_NAME:
        raise ValueError("a storage with too long a name")
    return Storage(key, storage.name.rpartition(".")[2].removesuffix("Storage"), count)


def _result(function: str, arguments: Any) -> Any:
    """Return what a function that a pickle names would return, as far as weights need it."""
    match function:
        case "torch._utils._rebuild_tensor_v2":
            storage, offset, size, stride = arguments[:4]
            return _tensor(storage, offset, size, stride)
        case "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state":
            if type(arguments[0]) is Tensor:
                return arguments[0]
        case "collections.OrderedDict" if arguments == ():
            return {}
        case "collections.defaultdict":
            return {}
        case "torch.Size" | "builtins.set" | "builtins.frozenset":
            if type(arguments[0]) in (tuple, list):
                return arguments[0]
    return Opaque(function)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """Return a tensor after a check that it lies within its storage."""
    if type(storage) is not Storage or {type(size), type(stride)} - {tuple, list}:
        raise ValueError("a tensor without storage or sizes")
    if len(size) != len(stride) or len(size) > MOST_AXES:
        raise ValueError("a tensor of inconsistent sizes")
    if not are_sizes([offset, *size, *stride]):
        raise ValueError("a tensor of sizes that are none")
    count = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    # A stride of 0 repeats numbers: without the second check a few bytes could become any array.
    if count and (last >= storage.length or count > storage.length):
        raise ValueError("a tensor larger than its storage")
    return Tensor(storage, offset, tuple(size), tuple(stride))
