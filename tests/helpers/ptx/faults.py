"""Faults of kernels, as errors with kernel, line of Python, thread, block and address."""

import linecache
import re

from . import shadow
from .parse import GLOBAL, SPACE


class GpuError(AssertionError):
    """A kernel, or a copy, that does what it must not.

    Attributes
    ----------
    kernel : str
        The dotted name of the Python function; empty for a copy.
    kind : str
        What is wrong, one of the values of `shadow.MEANINGS`.
    places : tuple of str
        "file:line" of the Python function that is at fault, of its call, and so on; empty if it is
        not known.
    instruction : str
        The instruction in PTX.
    block, thread, address : int
        Numbers of the block and of the thread in it, and the byte of global or shared memory.
    """

    kernel = kind = instruction = ""
    places: tuple[str, ...] = ()
    block = thread = address = None


def error(device, program, fault, places, threads, shared):
    """Return the error of a launch that has failed.

    Parameters
    ----------
    device : Device
        The GPU.
    program : Program
        The kernel.
    fault : Fault
        Where it failed.
    places : tuple of str
        Lines of Python of the instruction.
    threads, shared : Threads, Shared
        The machine's state.
    """
    meaning = shadow.MEANINGS[fault.kind]
    name = readable(program.name)
    parts = [
        f"{name}: thread {fault.thread} of block {fault.block} {meaning}",
        f"at address {fault.address}{_where(device, program, fault, threads, shared)}",
        f"in instruction {fault.line}: {program.lines[fault.line]}",
        *map(_shown, places),
    ]
    if fault.kind not in shadow.OF_MEMORY:
        del parts[1]
    found = GpuError("\n  ".join(parts))
    found.kernel = name
    found.kind = meaning
    found.places = places
    found.instruction = program.lines[fault.line]
    found.block = int(fault.block)
    found.thread = int(fault.thread)
    found.address = int(fault.address)
    return found


def readable(name):
    """Return the name of the Python function that Numba has given a name in PTX."""
    if not name.startswith("_ZN"):
        return name
    rest = name[3:]
    parts = []
    while rest[:1].isdigit():
        count = re.match(r"\d+", rest)[0]
        end = len(count) + int(count)
        parts.append(rest[len(count) : end])
        rest = rest[end:]
    return ".".join(parts).replace("_3c", "<").replace("_3e", ">")


def _shown(place):
    """Return a place in Python with the text that stands there."""
    file, _, line = place.rpartition(":")
    return f"{place}: {linecache.getline(file, int(line)).strip()}"


def _where(device, program, fault, threads, shared):
    """Return which memory an address is in, and who has touched it before."""
    word = fault.address // 4
    if program.table[fault.line, SPACE] != GLOBAL:
        slot = threads.block.tolist().index(fault.block)
        words = shared.words[slot]
        said = f", byte {fault.address} of the {4 * len(words)} of shared memory"
        touched = words[word].tolist() if 0 <= word < len(words) else []
        return said + _touched(touched, fault.block)
    begin = max((first for first in device.held if first <= word), default=None)
    said = ", before all arrays"
    if begin is not None:
        size = 4 * (device.held[begin] - begin)
        said = f", byte {fault.address - 4 * begin} of an array of {size}"
    known = 0 <= word < len(device.words)
    touched = device.words[word, [shadow.WRITE, shadow.READ]].tolist() if known else []
    return said + _touched(touched)


def _touched(accesses, block=None):
    """Return who has written and read a word last, if that is one thread."""
    said = ""
    for done, access in zip(("written", "read"), accesses, strict=False):
        if access >= 0 and access & shadow.MANY != shadow.MANY:
            of = access >> 36 if block is None else block
            said += f", {done} by thread {access & shadow.MANY} of block {of}"
    return said
