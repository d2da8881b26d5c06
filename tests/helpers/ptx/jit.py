"""Numba's compiler with machine code on disk, apart for each version of the machine.

Numba looks for changes in one file alone, the function's own, but code of all files is in it.
"""

import tempfile
from hashlib import sha256
from pathlib import Path

import numba as nb

_HERE = sorted(Path(__file__).parent.glob("*.py"))
_DIGEST = sha256(b"".join(path.read_bytes() for path in _HERE)).hexdigest()[:16]


def njit(function=None, **options):
    """Compile a function when it is first called, or load what was compiled before."""
    if function is None:
        return lambda function: njit(function, **options)
    before = nb.config.CACHE_DIR
    nb.config.CACHE_DIR = str(Path(before or tempfile.gettempdir()) / f"ptx-{_DIGEST}")
    try:
        return nb.njit(cache=True, **options)(function)
    finally:
        nb.config.CACHE_DIR = before
