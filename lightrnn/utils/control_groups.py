"""Linux's control groups, which limit what the processes of a container or of a service may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def directories(*names: str, root: Path = ROOT) -> Iterator[Path]:
    """Yield the directories whose limits may bind this process.

    These are the mounts, which within a container are its own group, and below them the process's
    group with all groups above it.

    Parameters
    ----------
    *names : str
        A controller, "cpu" or "memory", and other names that its mount may have in version 1.
    root : Path, default=ROOT
        The root of the file system.
    """
    unified = root / "sys/fs/cgroup"  # version 2; below it the mounts of version 1
    legacy = [unified / name for name in names]
    yield from (unified, *legacy)
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):
        return
    for line in lines:  # hierarchy:controllers:/group, without controllers in version 2
        controllers, _, group = line.partition(":")[2].partition(":")
        mounts = legacy if names[0] in controllers.split(",") else []
        for mount in mounts if controllers else [unified]:
            directory = mount / group.strip("/")
            while directory != mount:
                yield directory
                directory = directory.parent
