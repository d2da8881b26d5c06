"""The memory of this machine, or of the container or service around this process."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from .control_groups import ROOT, directories

_UNKNOWN = 2**62  # bytes: nothing is refused where the memory is not known
# Of a control group: its limit, what it uses, and the part of that which is given up for others.
_FILES = (
    ("memory.max", "memory.current", "inactive_file"),  # version 2
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),  # version 1
)


@cache  # read once: limits rarely change, and small estimators are fitted within milliseconds
def memory(root: Path = ROOT) -> int:
    """Return the bytes of memory that this process could ever use."""
    machine = _UNKNOWN
    with suppress(AttributeError, ValueError, OSError):
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(min(machine, *(limit for limit, _ in _groups(root))))


def free_memory(root: Path = ROOT) -> int:
    """Return the bytes that this process could use now, without others giving any up."""
    machine = _numbers(root / "proc/meminfo").get("MemAvailable:", math.inf) * 1024
    return int(max(0, min(memory(root), machine, *(limit - used for limit, used in _groups(root)))))


def _groups(root: Path) -> Iterator[tuple[float, float]]:
    """Yield limit and use of each control group; an infinite limit comes last."""
    for directory in directories("memory", root=root):
        for limit, usage, inactive in _FILES:
            with suppress(OSError, ValueError):  # ValueError: version 2 writes "max"
                bound = int((directory / limit).read_text())
                used = int((directory / usage).read_text())
                yield bound, used - _numbers(directory / "memory.stat").get(inactive, 0)
    yield math.inf, 0


def _numbers(path: Path) -> dict[str, int]:
    """Return the number behind each name in a file of such lines; none if there is no file."""
    with suppress(OSError, ValueError):
        lines = [line.split() for line in path.read_text().splitlines()]
        return {words[0]: int(words[1]) for words in lines if len(words) > 1}
    return {}
