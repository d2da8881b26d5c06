"""PyTorch's side: a recurrent layer and a linear one, and the usual training loop. Imported only where torch is."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_sequence

from .corpora import zipf

LAYERS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}


class Net(torch.nn.Module):
    """The last state of one recurrent layer, and a linear layer on it."""

    def __init__(self, cell: str, features: int, units: int, outputs: int) -> None:
        super().__init__()
        self.recurrent = LAYERS[cell](features, units, batch_first=True)
        self.head = torch.nn.Linear(units, outputs)

    def forward(self, X: Any, last: torch.Tensor | None = None) -> torch.Tensor:
        """Read the state at the steps `last`; without them at the end of what X holds, packed or not."""
        states, final = self.recurrent(X)
        if last is not None:
            return self.head(states[torch.arange(len(last)), last])
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
    """Return sequences padded to the longest, and their last steps."""
    return pad_sequence([torch.from_numpy(x) for x in X], batch_first=True), torch.tensor(
        [len(x) - 1 for x in X]
    )


def packed(X: torch.Tensor, last: torch.Tensor) -> PackedSequence:
    """Pack padded sequences."""
    return pack_padded_sequence(X, last + 1, batch_first=True, enforce_sorted=False)


def fit(X: Sequence[np.ndarray], y: np.ndarray, units: int, epochs: int, ready: Any = None) -> Net:
    """Train an LSTM as `RNNClassifier.fit` does; pad each minibatch, or take it from what `padded` has made `ready`."""
    torch.manual_seed(0)
    training = Training("lstm", X[0].shape[1], units, int(y.max()) + 1, 3e-3)
    targets = torch.from_numpy(y)
    for _ in range(epochs):
        for chosen in torch.randperm(len(X)).split(32):
            inputs, last = padded([X[i] for i in chosen]) if ready is None else _cut(*ready, chosen)
            training.step(inputs, targets[chosen], last)
    return training.net


def accuracy(net: Net, X: Sequence[np.ndarray], y: np.ndarray) -> float:
    """Return the share of right answers."""
    with torch.no_grad():
        return float(np.mean(net(*padded(X)).argmax(dim=1).numpy() == y))


def _cut(
    X: torch.Tensor, last: torch.Tensor, chosen: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take a minibatch, no longer than its longest sequence."""
    last = last[chosen]
    return X[chosen, : int(last.max()) + 1], last


def language_step(V: int, E: int, sizes: tuple[int, ...], B: int, T: int) -> Callable[[], Any]:
    """Return the usual loop's step: embedding, LSTM, linear, cross-entropy, clipping, Adam; the state is carried."""
    embedding, head = torch.nn.Embedding(V, E), torch.nn.Linear(sizes[-1], V)
    lstm = torch.nn.LSTM(E, sizes[0], len(sizes), batch_first=True)
    parameters = [*embedding.parameters(), *lstm.parameters(), *head.parameters()]
    solver, loss = torch.optim.Adam(parameters, lr=1e-3), torch.nn.CrossEntropyLoss()
    text = torch.from_numpy(zipf(V, B * (T * 50 + 1))).reshape(B, -1)
    place: dict[str, Any] = {"t": 0, "state": None}

    def step() -> None:
        t = place["t"] = place["t"] + T if place["t"] + 2 * T < text.shape[1] else 0
        state = place["state"] and tuple(s.detach() for s in place["state"])
        solver.zero_grad()
        h, place["state"] = lstm(embedding(text[:, t : t + T]), state)
        value = loss(head(h).reshape(-1, V), text[:, t + 1 : t + T + 1].reshape(-1))
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        solver.step()

    return step
