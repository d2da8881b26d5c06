"""What torch pickles beside its tensors, read as data: nothing is imported, called or executed.

Python's unpickler calls what a file names. The machine here has no call: it builds dicts, lists, tuples, numbers and
text, knows by name the few functions that stand for a tensor, and refuses every other name. `pickletools` splits the
file into its instructions and checks their lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class RefusedError(ValueError):
    """A file is whole but holds what is not read; the message is for the user."""


class Name(NamedTuple):
    """A class or function that a pickle refers to."""

    text: str


class Storage(NamedTuple):
    """Where a tensor's numbers are: the archive's member, their kind as torch names it, and how many."""

    key: str
    kind: str
    length: int


class Tensor(NamedTuple):
    """A view of a storage; sizes and strides are in elements."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


_MARK = object()
_KEYS = (
    str,
    int,
    float,
    bool,
    type(None),
)  # a tuple's hash may take for ever: tuples of tuples, each twice in the next
_TENSOR, _PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
_DICT, _SIZE, _SET = "collections.OrderedDict", "torch.Size", "builtins.set"
_PUSHED = frozenset(
    "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8".split()
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": list,
    "MARK": lambda: _MARK,
}


def read(pickled: bytes) -> Any:
    """Return what a pickle of torch's holds, with a `Tensor` for every tensor.

    Parameters
    ----------
    pickled : bytes
        The archive's ``data.pkl``.

    Raises
    ------
    RefusedError
        If it names a class or function that is none of data.
    ValueError, KeyError, IndexError, TypeError, AttributeError
        If it is damaged.
    """
    import pickletools

    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "STOP":
            return machine.stack.pop()
        machine.run(opcode.name, argument)
    raise ValueError("no end")


class _Machine:
    """A pickle's stack and memo, and what each instruction does with them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, opcode: str, argument: Any) -> None:
        """Carry out one instruction."""
        if opcode in _PUSHED:
            self.stack.append(argument)
        elif opcode in _CONSTANTS:
            self.stack.append(_CONSTANTS[opcode]())
        elif opcode in _ACTIONS:
            _ACTIONS[opcode](self, argument)
        else:
            raise RefusedError(f"the pickle instruction {opcode}")

    def pop(self, count: int) -> list[Any]:
        """Take the last values from the stack."""
        if count > len(self.stack):
            raise IndexError("the stack is too short")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        if any(value is _MARK for value in values):
            raise ValueError("a mark among values")
        return values

    def pop_marked(self) -> list[Any]:
        """Take the values after the last mark, and the mark."""
        values: list[Any] = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def push_name(self, text: str) -> None:
        """Push the name of a class or function, as Python 3 spells it."""
        self.stack.append(Name(text.replace("__builtin__", "builtins")))

    def reduce(self) -> None:
        """Put in the place of a function and its arguments what it would make."""
        function, arguments = self.pop(2)
        self.stack.append(_made(function.text, arguments))

    def persistent(self) -> None:
        """Put a storage in the place of its description."""
        kind, storage, key, _, count = self.pop(1)[0]
        if kind != "storage" or type(count) is not int or type(key) is not str:
            raise ValueError("a storage without place or size")
        self.stack.append(
            Storage(key, storage.text.rpartition(".")[2].removesuffix("Storage"), count)
        )

    def set_items(self, items: list[Any]) -> None:
        """Fill the dict on top of the stack."""
        target = self.stack[-1]
        if type(target) is not dict or any(type(key) not in _KEYS for key in items[::2]):
            raise TypeError("items of what is no dict, or keys that are no plain values")
        target.update(zip(items[::2], items[1::2], strict=True))

    def extend(self, items: list[Any]) -> None:
        """Lengthen the list on top of the stack."""
        if type(self.stack[-1]) is not list:
            raise TypeError("items of what is no list")
        self.stack[-1].extend(items)

    def ignore_attributes(self) -> None:
        """Drop what a state_dict's OrderedDict carries besides its items; nothing else may have attributes."""
        self.pop(1)
        if type(self.stack[-1]) is not dict:
            raise RefusedError(f"a {type(self.stack[-1]).__name__} with attributes")

    def memoize(self, index: int) -> None:
        """Remember the top of the stack."""
        self.memo[index] = self.stack[-1]


def _made(name: str, arguments: Any) -> Any:
    """Return what a function that a pickle names makes of its arguments."""
    if name == _TENSOR:
        storage, offset, size, stride, *_ = arguments
        return _tensor(storage, offset, size, stride)
    if name == _PARAMETER and type(arguments[0]) is Tensor:
        return arguments[0]
    if name == _DICT and arguments == ():
        return {}
    if name in (_SIZE, _SET) and type(arguments[0]) in (tuple, list):
        return arguments[0]
    raise RefusedError(f"the class or function {name!r:.80}")


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """Check that a tensor lies within its storage."""
    whole = [offset, *size, *stride]
    if type(storage) is not Storage or any(type(n) is not int or not 0 <= n < 2**62 for n in whole):
        raise ValueError("a tensor without storage or sizes")
    if len(size) != len(stride) or len(size) > 8:
        raise ValueError("a tensor of inconsistent sizes")
    count = 1
    for n in size:
        count *= n
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if count and (last >= storage.length or count > storage.length):
        raise ValueError("a tensor larger than its storage")
    return Tensor(storage, offset, tuple(size), tuple(stride))


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, argument: None,
    "FRAME": lambda machine, argument: None,
    "GLOBAL": lambda machine, argument: machine.push_name(argument.replace(" ", ".", 1)),
    "STACK_GLOBAL": lambda machine, argument: machine.push_name(".".join(machine.pop(2))),
    "REDUCE": lambda machine, argument: machine.reduce(),
    "NEWOBJ": lambda machine, argument: machine.reduce(),
    "BINPERSID": lambda machine, argument: machine.persistent(),
    "BUILD": lambda machine, argument: machine.ignore_attributes(),
    "BINPUT": lambda machine, argument: machine.memoize(argument),
    "LONG_BINPUT": lambda machine, argument: machine.memoize(argument),
    "MEMOIZE": lambda machine, argument: machine.memoize(len(machine.memo)),
    "BINGET": lambda machine, argument: machine.stack.append(machine.memo[argument]),
    "LONG_BINGET": lambda machine, argument: machine.stack.append(machine.memo[argument]),
    "TUPLE": lambda machine, argument: machine.stack.append(tuple(machine.pop_marked())),
    "TUPLE1": lambda machine, argument: machine.stack.append(tuple(machine.pop(1))),
    "TUPLE2": lambda machine, argument: machine.stack.append(tuple(machine.pop(2))),
    "TUPLE3": lambda machine, argument: machine.stack.append(tuple(machine.pop(3))),
    "SETITEM": lambda machine, argument: machine.set_items(machine.pop(2)),
    "SETITEMS": lambda machine, argument: machine.set_items(machine.pop_marked()),
    "APPEND": lambda machine, argument: machine.extend(machine.pop(1)),
    "APPENDS": lambda machine, argument: machine.extend(machine.pop_marked()),
    "ADDITEMS": lambda machine, argument: machine.extend(machine.pop_marked()),
}
