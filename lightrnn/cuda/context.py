"""Context of a network on a GPU: its number, limits, memory and the parameters' addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..nn.stack import Stack
from . import driver
from .memory import Memory
from .parameters import Addresses


@dataclass
class Context:
    """All that a program must know of the GPU and of the network's memory on it.

    Attributes
    ----------
    number : int
        Number of the GPU.
    limits : driver.Limits
        Its limits.
    memory : Memory
        Numbers and indices of the network on it.
    addresses : Addresses
        Addresses of the parameters.
    cached : tuple (sequences, address) or None
        Sequences that stay on the GPU from program to program, and the address of the first.
    """

    number: int
    limits: driver.Limits
    memory: Memory
    addresses: Addresses
    cached: tuple[Sequence[np.ndarray], int] | None = None

    @classmethod
    def of(cls, host: Stack, number: int) -> Context:
        """Open a GPU for a network; see `driver.open_device` for the errors."""
        limits = driver.open_device(number)
        memory = Memory(host.dtype, driver.streams(number))
        addresses = Addresses(host)
        memory.floats.kept = addresses.end
        return cls(number, limits, memory, addresses)

    @property
    def dtype(self) -> str:
        """Name of the network's dtype."""
        return self.memory.floats.dtype.name
