"""PyTorch's side: networks and the usual training loops; imported only if torch is installed."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_sequence

from .corpora import zipf

LAYERS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}


class Net(torch.nn.Module):
    """One recurrent layer, and a linear layer that reads its last state."""

    def __init__(self, cell: str, features: int, units: int, outputs: int) -> None:
        super().__init__()
        self.recurrent = LAYERS[cell](features, units, batch_first=True)
        self.head = torch.nn.Linear(units, outputs)

    def forward(self, X: Any, last: torch.Tensor | None = None) -> torch.Tensor:
        """Return the outputs at the steps `last`, or by default at the end of X, packed or not."""
        states, final = self.recurrent(X)
        if last is not None:
            return self.head(states[torch.arange(len(last)), last])
        # For packed sequences, the final state is that of each sequence's own end.
        if isinstance(X, PackedSequence):
            return self.head((final[0] if isinstance(final, tuple) else final)[-1])
        return self.head(states[:, -1])


class Training:
    """A net with its loss and Adam."""

    def __init__(
        self, cell: str, features: int, units: int, outputs: int, learning_rate: float = 1e-3
    ) -> None:
        self.net = Net(cell, features, units, outputs)
        self.loss = torch.nn.CrossEntropyLoss()
        self.solver = torch.optim.Adam(self.net.parameters(), lr=learning_rate)

    def step(self, X: Any, y: torch.Tensor, last: torch.Tensor | None = None) -> float:
        """Train on one minibatch."""
        self.solver.zero_grad()
        loss = self.loss(self.net(X, last), y)
        loss.backward()
        clip_grad_norm_(self.net.parameters(), 1.0)
        self.solver.step()
        return loss.item()


def padded(X: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return sequences padded to the longest, (B, T, F), and their last steps, (B,)."""
    last = torch.tensor([len(x) - 1 for x in X])
    return pad_sequence([torch.from_numpy(x) for x in X], batch_first=True), last


def packed(X: torch.Tensor, last: torch.Tensor) -> PackedSequence:
    """Pack padded sequences."""
    return pack_padded_sequence(X, last + 1, batch_first=True, enforce_sorted=False)


def fit(X: Sequence[np.ndarray], y: np.ndarray, units: int, epochs: int, ready: Any = None) -> Net:
    """Train an LSTM as `RNNClassifier.fit` does.

    Each minibatch is padded, or cut from `ready`, the result of `padded` for all sequences.
    """
    torch.manual_seed(0)
    training = Training("lstm", X[0].shape[1], units, int(y.max()) + 1, 3e-3)
    targets = torch.from_numpy(y)
    for _ in range(epochs):
        for chosen in torch.randperm(len(X)).split(32):
            inputs, last = padded([X[i] for i in chosen]) if ready is None else _cut(*ready, chosen)
            training.step(inputs, targets[chosen], last)
    return training.net


def accuracy(net: Net, X: Sequence[np.ndarray], y: np.ndarray) -> float:
    """Return the share of correct answers."""
    with torch.no_grad():
        return float(np.mean(net(*padded(X)).argmax(dim=1).numpy() == y))


def _cut(
    X: torch.Tensor, last: torch.Tensor, chosen: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take a minibatch and cut it to its longest sequence."""
    last = last[chosen]
    return X[chosen, : int(last.max()) + 1], last


def language_step(
    V: int, E: int, sizes: tuple[int, ...], B: int, T: int, adaptive: bool = False
) -> Callable[[], Any]:
    """Return a training step of a language model: embedding, LSTM, output layer.

    The state is carried from chunk to chunk, unless the softmax is adaptive.
    """
    embedding = torch.nn.Embedding(V, E)
    head: torch.nn.Module = torch.nn.Linear(sizes[-1], V)
    if adaptive:
        cutoffs = [V // 20, V // 4]
        head = torch.nn.AdaptiveLogSoftmaxWithLoss(sizes[-1], V, cutoffs, head_bias=True)
    lstm = torch.nn.LSTM(E, sizes[0], len(sizes), batch_first=True)
    parameters = [*embedding.parameters(), *lstm.parameters(), *head.parameters()]
    solver = torch.optim.Adam(parameters, lr=1e-3)
    loss = torch.nn.CrossEntropyLoss()
    text = torch.from_numpy(zipf(V, B * (T * 50 + 1))).reshape(B, -1)  # 50 chunks of each stream
    starts = itertools.cycle(range(0, text.shape[1] - T, T))
    carried: list[Any] = [None]  # the LSTM's state after the previous chunk

    def step() -> None:
        t = next(starts)
        solver.zero_grad()
        h, state = lstm(embedding(text[:, t : t + T]), carried[0])
        targets = text[:, t + 1 : t + T + 1].reshape(-1)
        if adaptive:
            value = head(h.flatten(0, 1), targets).loss
        else:
            value = loss(head(h).flatten(0, 1), targets)
            # The state goes on to the next chunk, but the gradient does not go back through it.
            carried[0] = tuple(s.detach() for s in state)
        value.backward()
        clip_grad_norm_(parameters, 1.0)
        solver.step()

    return step


class StackTraining:
    """A stack of LSTM layers with its loss and Adam, for one target per sequence or per step."""

    def __init__(
        self, sizes: tuple[int, int, int], layers: int, both: bool, double: bool, every: bool
    ) -> None:
        features, units, outputs = sizes
        self.every = every
        kind = torch.float64 if double else torch.float32
        options: dict[str, Any] = {"batch_first": True, "bidirectional": both, "dtype": kind}
        self.lstm = torch.nn.LSTM(features, units, layers, **options)
        self.head = torch.nn.Linear(units * (1 + both), outputs, dtype=kind)
        self.parameters = [*self.lstm.parameters(), *self.head.parameters()]
        self.solver = torch.optim.Adam(self.parameters)
        self.loss = torch.nn.CrossEntropyLoss()

    def step(self, X: torch.Tensor, y: torch.Tensor) -> float:
        """Train on one minibatch, (B, T, F) and (B,) or (B, T)."""
        self.solver.zero_grad()
        states, (final, _) = self.lstm(X)
        directions = 1 + self.lstm.bidirectional
        h = states if self.every else torch.cat([*final[-directions:]], dim=1)
        loss = self.loss(self.head(h).flatten(0, -2), y.flatten())
        loss.backward()
        clip_grad_norm_(self.parameters, 1.0)
        self.solver.step()
        return loss.item()
