"""Addresses of a batch's data on the GPU, and of the indices by which products read its rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nn.batches import Batch
from ..nn.packing import Steps, Windows
from ..nn.stack import Stack
from . import gather
from .program import Program


class BatchIndex:
    """Data of a batch and how its rows follow each other; `launch` comes before any use.

    Recurrent layers have one row per step, packed as `packing.Steps` says; other layers have one
    row per window. N is the number of rows, B that of sequences, n that of steps in all
    sequences.

    Parameters
    ----------
    program : Program
        Program to which it belongs.
    network : Stack
        Network on the CPU, whose inputs these are.
    batch : Batch
        Sequences, longest first.

    Attributes
    ----------
    packing : Steps or Windows
        Order of the rows on the host.
    N : int
        Number of rows.
    n : int
        Number of steps in all sequences.
    data, codes : int
        Addresses of the data, (n, F) numbers or (n,) tokens; -1 for what there is not.
    lengths, starts : int
        Addresses of the sequences' lengths and of the indices of their first steps, (B,).
    source : int
        Address of the data's step, or token, of each row; of windows, of each step in them.
    member, last : int
        Addresses of each row's sequence, (N,), and of each sequence's last row, (B,).
    first, back, mirror, before : int
        With recurrence: addresses of the row at which each step begins, -1 without; of the `source`
        of a second direction, (N,); of its row, (N,); and of the row of the state before, (N,).
    windows : int
        Without recurrence: address of the step at which each window begins, (N,).
    n_window_steps : int
        Without recurrence: number of steps in all windows.
    """

    def __init__(self, program: Program, network: Stack, batch: Batch) -> None:
        self.program = program
        self.network = network
        self.B = len(batch.X)
        self.n = int(batch.lengths.sum())
        self.tokens = network.embedding is not None
        self.lengths = program.send_indices(batch.lengths)
        cached = program.context.cached
        if cached and network.recurrent and batch.offsets is not None:
            self.starts = program.send_indices(batch.offsets)
            data = cached[1]
        else:
            self.starts = program.send_indices(np.cumsum(batch.lengths) - batch.lengths)
            if network.embedding is None:
                X = np.empty((self.n, network.n_features), network.dtype)
                network.join(batch.X, X)
                data = program.send(X)
            else:
                data = program.send_indices(network.embedding.joined(batch.X))
        self.data = -1 if self.tokens else data
        self.codes = data if self.tokens else -1
        if network.recurrent:
            self._send_steps(batch)
        else:
            self._send_windows(batch)

    def _send_steps(self, batch: Batch) -> None:
        """Send the row at which each step begins; the last one twice, since loops read ahead."""
        self.packing: Any = Steps.of(batch.lengths)
        self.N = self.n
        first = self.packing.first
        self.first = self.program.send_indices(np.append(first, first[-1]))

    def _send_windows(self, batch: Batch) -> None:
        """Send the steps that windows look at, and where windows begin among these."""
        send = self.program.send_indices
        self.packing = Windows(batch.lengths, self.network.window, not self.network.every_step)
        windows = self.packing.index
        self.N = len(windows)
        if self.packing.last:
            windows = np.arange(self.B) * self.packing.window  # one after the other
        source = self.packing.source - 1  # -1 for steps before the sequence
        embedding = self.network.embedding
        if embedding is not None:
            source = np.where(source < 0, -1, embedding.joined(batch.X)[source])
        self.n_window_steps = len(source)
        self.source = send(source)
        self.windows = send(windows)
        self.member = send(self.packing.members)
        self.last = send(np.cumsum(self.packing.counts) - 1)
        self.mirror = -1  # there is no second direction
        self.first = -1  # and rows follow one another sequence by sequence

    def launch(self) -> None:
        """Let the GPU index the packed rows: five indices per row need not be sent."""
        if not self.network.recurrent:
            return
        rows = [self.program.allocate_indices(self.N) for _ in range(5)]
        self.source, self.back, self.mirror, self.member, self.before = rows
        self.last = self.program.allocate_indices(self.B)
        T = len(self.packing.first) - 2
        given = self.lengths, self.first, self.starts, T, self.B, self.codes
        arguments = gather.IndexArguments(
            *given, self.source, self.back, self.mirror, self.member, self.before, self.last
        )
        self.program.over(gather.index(self.tokens), self.N, arguments)
