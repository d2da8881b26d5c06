"""Lines of Python in the text of a kernel, by the directives `.file` and `.loc` of PTX.

A compiler writes them if it is told to (`lineinfo`), and then chooses another order for a few
instructions. So what is run has none, and a kernel that fails is compiled once more.
"""

import re
import warnings
from contextlib import contextmanager, nullcontext
from difflib import SequenceMatcher
from types import SimpleNamespace
from unittest.mock import patch

_FILE = re.compile(r'\.file\s+(\d+)\s+"([^"]+)"')
_LINE = re.compile(r"\.loc\s+(\d+) (\d+) \d+(?:,.* inlined_at (\d+) (\d+) \d+)?")
Places = tuple[str, ...]  # "file:line", the innermost function first


class Lines:
    """Reader of the directives of a text (PTX ISA, "Debugging Directives": .file, .loc).

    Attributes
    ----------
    here : tuple of str
        Where in Python the next instruction comes from: a place, the place where that function is
        called, and so on. It is empty if the text does not say.
    """

    def __init__(self, text):
        self._files = dict(_FILE.findall(text))
        self._callers = {}
        self.here: Places = ()

    def read(self, directive):
        """Take note of a directive; those of line 0, which is none, are left out."""
        file, line, *caller = _LINE.match(directive).groups()
        if line == "0":
            return
        if caller[0]:
            self._callers[file, line] = tuple(caller)
        chain = [(file, line)]
        while chain[-1] in self._callers and self._callers[chain[-1]] not in chain:
            chain.append(self._callers[chain[-1]])
        self.here = tuple(f"{self._files.get(file, '?')}:{line}" for file, line in chain)


@contextmanager
def _of_called_functions(dispatcher):
    """Let functions that a kernel calls be compiled anew, with their lines."""
    original = dispatcher.CUDADispatcher.compile_device
    plain = {}  # what was compiled before, by dispatcher

    def compile_device(self, args, return_type=None):
        if self not in plain:
            plain[self] = self.overloads, self.targetoptions
            self.overloads = {}
            self.targetoptions = self.targetoptions | {"lineinfo": True}
        return original(self, args, return_type)

    try:
        with patch.object(dispatcher.CUDADispatcher, "compile_device", compile_device):
            yield
    finally:
        for made, (overloads, options) in plain.items():
            made.overloads = overloads
            made.targetoptions = options


def compiled(function, dtype, capability, *, lines=False):
    """Return a kernel, a function of ``(floats, ints, at)``, as PTX."""
    from numba import cuda
    from numba.cuda import dispatcher

    from lightrnn.cuda.jit import signature

    there = SimpleNamespace(compute_capability=capability)
    with (
        patch.object(dispatcher, "get_current_device", lambda: there),
        _of_called_functions(dispatcher) if lines else nullcontext(),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", message="Could not find source for function")
        return cuda.compile_ptx(function, signature(dtype), cc=capability, lineinfo=lines)[0]


def moved(program, with_lines):
    """Return the places of a program's instructions, by those of the same kernel with lines.

    Instructions are found again by their names, in order.
    """
    names, others = (
        [line.partition(" ")[0].partition("\t")[0] for line in each.lines]
        for each in (program, with_lines)
    )
    found = [()] * len(names)
    matcher = SequenceMatcher(None, names, others, autojunk=False)
    for first, second, count in matcher.get_matching_blocks():
        found[first : first + count] = with_lines.places[second : second + count]
    return found
