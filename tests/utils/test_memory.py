"""The memory that a process may use: the machine's, or what control groups leave of it."""

import os

import pytest

from lightrnn.utils.memory import free_memory, memory

GIB = 2**30
V1 = "sys/fs/cgroup/memory/"


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(str(text))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 8 GiB, of which 6 are free."""
    sizes = {"SC_PHYS_PAGES": 8 * GIB // 4096, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", sizes.get, raising=False)
    write(tmp_path, {"proc/meminfo": f"MemTotal: 1 kB\nMemAvailable: {6 * GIB // 1024} kB\n"})
    yield tmp_path
    memory.cache_clear()


def group(directory, limit, used, inactive=0, version=2):
    names = ("memory.max", "memory.current", "inactive_file")
    if version == 1:
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    stat = f"anon 5\n{names[2]} {inactive}\n"
    return dict(zip((directory + names[0], directory + names[1]), (limit, used), strict=True)) | {
        directory + "memory.stat": stat
    }


@pytest.mark.parametrize(
    ("files", "total", "free"),
    [
        ({}, 8, 6),
        (group("sys/fs/cgroup/", 4 * GIB, 3 * GIB, GIB), 4, 2),
        (group("sys/fs/cgroup/", "max", 3 * GIB), 8, 6),
        (group("sys/fs/cgroup/", "nonsense", 3 * GIB), 8, 6),
        (group("sys/fs/cgroup/", GIB, 2 * GIB), 1, 0),
        (group(V1, 4 * GIB, 3 * GIB, GIB, version=1), 4, 2),
        (group(V1, 2**63 - 4096, 3 * GIB, version=1), 8, 6),
        (group(V1 + "box/", 2 * GIB, GIB, version=1) | {"proc/self/cgroup": "4:memory:/box"}, 2, 1),
        (group("sys/fs/cgroup/job/", 2 * GIB, GIB) | {"proc/self/cgroup": "0::/job/mine"}, 2, 1),
        (group("sys/fs/cgroup/job/", 2 * GIB, GIB) | {"proc/self/cgroup": "0::/other"}, 8, 6),
    ],
)
def test_the_memory_of_a_machine_a_container_or_a_service(machine, files, total, free):
    write(machine, files)
    assert memory(machine) == total * GIB
    assert free_memory(machine) == free * GIB


def test_where_nothing_is_known_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert memory(tmp_path) == free_memory(tmp_path) > 2**60
    memory.cache_clear()
