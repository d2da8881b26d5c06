"""The cluster that a fit needs: a connected client, workers, and the same versions everywhere."""

from __future__ import annotations

import importlib.metadata
from contextlib import suppress
from typing import Any

from .. import cpu
from .._version import __version__
from ..utils.checks import shown

_PACKAGES = ("numba", "llvmlite", "numpy")


def environment() -> dict[str, Any]:
    """Return what decides the bits that this process computes.

    Examples
    --------
    >>> sorted(environment())
    ['CPU', 'CPU features', 'lightrnn', 'llvmlite', 'numba', 'numpy']
    """
    binding = cpu.once.imported("llvmlite.binding")
    features = binding.get_host_cpu_features()
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {
        "lightrnn": __version__,
        **versions,
        "CPU": binding.get_host_cpu_name(),
        "CPU features": " ".join(sorted(name for name, present in features.items() if present)),
    }


def connected(client: Any) -> Any:
    """Return a client, by default the current one.

    Raises
    ------
    ImportError
        If distributed is not installed.
    TypeError
        If it is something else.
    ValueError
        If there is no client, or if it is closed or asynchronous.
    """
    try:
        distributed = cpu.once.imported("distributed")
    except ImportError as error:
        raise ImportError(
            "Estimators on dask need distributed. "
            "Run: python -m pip install 'dask[array]' distributed"
        ) from error
    if client is None:
        try:
            client = distributed.get_client()  # in a task that of its worker
        except ValueError as error:
            raise ValueError(
                "client must be given, or be the current one, got None. Make one before: "
                "client = distributed.Client() starts a cluster on this machine."
            ) from error
    if not isinstance(client, distributed.Client):
        raise TypeError(
            f"client must be a distributed.Client or None, got {shown(client)}. Make one of the "
            "address of a scheduler, or of a cluster: distributed.Client(address)."
        )
    if client.status != "running":
        raise ValueError(
            f"client must be connected, got one that is {client.status}. Make a new one."
        )
    if client.asynchronous:
        raise ValueError(
            "client must be synchronous, got one with asynchronous=True. "
            "Make one with asynchronous=False."
        )
    _leave_pool(distributed)
    return client


def _leave_pool(distributed: Any) -> None:
    """Let a worker whose task this is run other tasks meanwhile, as `dask.compute` does.

    Else a fit inside of a task would wait for ever for tasks that the same worker is to run.
    """
    # No task, or one that has left already.
    with suppress(AttributeError, ValueError, KeyError):
        distributed.secede()


def check_environment(client: Any, workers: list[str] | None = None) -> list[str]:
    """Return the addresses of the workers that can be reached, in order.

    Parameters
    ----------
    client : distributed.Client
        A connected client.
    workers : list of str, optional
        Addresses of those to look at, of which some may be lost; by default all, one at least.

    Raises
    ------
    RuntimeError
        If there are none, if one has not the package, or other versions than this process, or if
        their processors differ.
    """
    answers = client.run(environment, workers=workers, on_error="return")
    if not answers and workers is None:
        raise RuntimeError(
            "The cluster must have a worker, got none. Start some, and wait for them: "
            "client.wait_for_workers(1)."
        )
    # A worker that cannot be reached is one that the scheduler has not missed yet.
    answers = {key: answer for key, answer in answers.items() if not isinstance(answer, OSError)}
    addresses = sorted(answers)
    here = environment()
    for address in addresses:
        there = answers[address]
        if isinstance(there, BaseException):
            raise RuntimeError(
                f"Every worker must have lightrnn {__version__}, got an error on {address}: "
                f"{there!r}. Install it there."
            ) from there
        for name in ("lightrnn", *_PACKAGES):
            _check_same(name, address, there, "this process", here)
        for name in ("CPU", "CPU features"):
            _check_same(name, address, there, addresses[0], answers[addresses[0]])
    return addresses


def _check_same(
    name: str, address: str, there: dict[str, Any], reference: str, known: dict[str, Any]
) -> None:
    """Raise a RuntimeError if a worker differs from another process in something."""
    if there[name] != known[name]:
        raise RuntimeError(
            f"Every worker must have the same {name} as {reference}, {known[name]}, got "
            f"{there[name]} on {address}. The result would depend on where partitions are."
        )
