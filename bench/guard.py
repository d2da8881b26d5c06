"""Guard pages around every array: a kernel that reads or writes outside of one ends the process.

NumPy allocates each array by itself, up against a page that nobody may touch: behind its end, or
before its start. Arrays that kernels make for themselves are not guarded, nor are those of other
threads than the one that calls `enable`.
"""

import ctypes
import mmap
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lightrnn.cpu import host

_PAGE = mmap.PAGESIZE
_ALIGNMENT = 16  # of all that NumPy allocates
_SET_HANDLER = 304  # index of PyDataMem_SetHandler among NumPy's functions

_pointer = ctypes.c_void_p
_size = ctypes.c_size_t


class _Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", _pointer),
        ("malloc", ctypes.CFUNCTYPE(_pointer, _pointer, _size)),
        ("calloc", ctypes.CFUNCTYPE(_pointer, _pointer, _size, _size)),
        ("realloc", ctypes.CFUNCTYPE(_pointer, _pointer, _pointer, _size)),
        ("free", ctypes.CFUNCTYPE(None, _pointer, _pointer, _size)),
    )


class _Block(NamedTuple):
    """Pages in use: the address of the first guard page, and the bytes with both."""

    start: int
    length: int


class _Guard:
    """An allocator of blocks between guard pages; new ones are zeros."""

    def __init__(self, at_end: bool) -> None:
        self._at_end = at_end
        self._blocks: dict[int, tuple[_Block, int]] = {}
        self._library = ctypes.CDLL(None, use_errno=True)
        self._library.mmap.restype = _pointer
        self._library.mmap.argtypes = (_pointer, _size, *[ctypes.c_int] * 3, ctypes.c_long)
        self._library.mprotect.argtypes = (_pointer, _size, ctypes.c_int)
        self._library.munmap.argtypes = (_pointer, _size)

    def malloc(self, context: int | None, size: int) -> int:
        """Return the address of a block."""
        inside = -(-max(size, 1) // _PAGE) * _PAGE
        length = inside + 2 * _PAGE
        rights = mmap.PROT_READ | mmap.PROT_WRITE
        kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        start = self._library.mmap(None, length, rights, kind, -1, 0)
        for guard in (start, start + length - _PAGE):
            self._library.mprotect(guard, _PAGE, 0)
        address = start + _PAGE
        if self._at_end:
            address += (inside - size) // _ALIGNMENT * _ALIGNMENT
        self._blocks[address] = _Block(start, length), size
        return address

    def calloc(self, context: int | None, count: int, size: int) -> int:
        """Return the address of zeros."""
        return self.malloc(context, count * size)

    def realloc(self, context: int | None, address: int | None, size: int) -> int:
        """Return the address of a block of another size and the same content."""
        new = self.malloc(context, size)
        if address:
            ctypes.memmove(new, address, min(size, self._blocks[address][1]))
            self.free(context, address, 0)
        return new

    def free(self, context: int | None, address: int | None, size: int) -> None:
        """Give a block back."""
        if address:
            block, _ = self._blocks.pop(address)
            self._library.munmap(*block)


def enable(at_end: bool = True) -> None:
    """Guard all arrays that this thread allocates from now on.

    The process must end with `leave`: arrays outlive the interpreter, whose functions free them.

    Parameters
    ----------
    at_end : bool, default=True
        Whether an array ends where a guard page begins; otherwise it begins where one ends.
    """
    guard = _Guard(at_end)
    functions: dict[str, Callable[..., Any]] = {
        name: dict(_Handler._fields_)[name](getattr(guard, name))
        for name in ("malloc", "calloc", "realloc", "free")
    }
    handler = _Handler(b"guard", 1, None, *functions.values())
    _KEPT.append(handler)
    new = ctypes.pythonapi.PyCapsule_New
    new.restype = ctypes.py_object
    new.argtypes = (_pointer, ctypes.c_char_p, _pointer)
    capsule = new(ctypes.addressof(handler), _NAME, None)
    table = ctypes.pythonapi.PyCapsule_GetPointer
    table.restype = _pointer
    table.argtypes = (ctypes.py_object, ctypes.c_char_p)
    address = table(np._core._multiarray_umath._ARRAY_API, None)
    entry = ctypes.cast(address, ctypes.POINTER(_pointer))[_SET_HANDLER]
    ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(entry)(capsule)
    # As aligned as a guard page is, and without room at either side.
    host.allocate = lambda size: np.zeros(size, np.uint8)


_NAME = b"mem_handler"
_KEPT: list[Any] = []  # what NumPy points to


def leave(status: int = 0) -> None:
    """End the process without freeing anything."""
    os._exit(status)
