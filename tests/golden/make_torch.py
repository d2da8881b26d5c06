"""Write the golden files of torch: four networks with random weights, and their raw outputs.

    python tests/golden/make_torch.py

The outputs, at the end of each sequence or at every step, go into ``torch.npz``. torch and
safetensors must be installed.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

HERE = Path(__file__).parent
LENGTHS = (6, 1, 9, 4)
END = 2  # row of the token that precedes every text


class Net(nn.Module):
    def __init__(
        self,
        cell,
        features,
        units,
        outputs,
        layers=1,
        both=False,
        tokens=0,
        padding=None,
        biased=True,
    ):
        super().__init__()
        self.embedding = (
            nn.Embedding(tokens, features, padding_idx=padding) if tokens else nn.Identity()
        )
        self.rnn = cell(features, units, layers, bias=biased, bidirectional=both, batch_first=True)
        self.fc = nn.Linear(units * (1 + both), outputs, bias=True)

    def forward(self, x, step):
        rows, state = self.rnn(self.embedding(x))
        state = state[0] if isinstance(state, tuple) else state  # an LSTM returns h and c
        if step:
            return self.fc(rows)
        directions = 1 + self.rnn.bidirectional
        return self.fc(torch.cat(list(state[-directions:]), dim=1))


def outputs(net, X, step):
    """Return the outputs of all sequences, one below the other."""
    with torch.no_grad():
        return np.concatenate(
            [net(torch.tensor(x)[None], step).numpy().reshape(-1, net.fc.out_features) for x in X]
        )


def _final(rows, state):
    return torch.cat(list(state[-2:]), dim=1)


READINGS = {
    "final": _final,
    "last": lambda rows, state: rows[:, -1],
    "mean": lambda rows, state: rows.mean(1),
    "max": lambda rows, state: rows.amax(1),
    "relu": lambda rows, state: torch.relu(_final(rows, state)),  # a functional one, in `forward`
}


def readings(net, X, read):
    """Return a bidirectional network's outputs if its linear layer reads these states."""
    with torch.no_grad():
        found = [net.rnn(torch.tensor(x)[None]) for x in X]
        rows = [READINGS[read](rows, state[0]) for rows, state in found]
        return net.fc(torch.cat(rows)).numpy()


def main():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    numbers = [rng.normal(size=(T, 3)).astype(np.float32) for T in LENGTHS]
    codes = [rng.integers(1, 7, T) for T in LENGTHS]
    texts = [np.append(END, rng.choice([1, 3, 4, 5, 6], T - 1)) for T in LENGTHS]
    nets = {
        "lstm": (Net(nn.LSTM, 3, 5, 3), numbers, False),
        "gru": (Net(nn.GRU, 3, 4, 2, layers=2, both=True), numbers, True),
        "rnn": (Net(nn.RNN, 3, 6, 1, tokens=7, padding=0, biased=False), codes, False),
        "language": (Net(nn.LSTM, 4, 4, 7, tokens=7), texts, True),
    }
    # Tied weights: one tensor under two names.
    nets["language"][0].fc.weight = nets["language"][0].embedding.weight
    torch.save(nets["lstm"][0].state_dict(), HERE / "lstm.pt")
    save_file(nets["gru"][0].state_dict(), HERE / "gru.safetensors")
    optimizer = torch.optim.Adam(nets["rnn"][0].parameters())
    nets["rnn"][0](torch.tensor(codes[0])[None], False).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 7,
        "model": nets["rnn"][0].state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(checkpoint, HERE / "rnn.pt")
    beside = {
        "loss": np.float64(0.5),
        "args": argparse.Namespace(lr=1e-3, device=torch.device("cpu")),
        "path": Path("data") / "train.csv",
        "history": defaultdict(list, loss=[0.5, 0.25]),
    }
    checkpoint = beside | {"state_dict": nets["lstm"][0].state_dict()}
    torch.save(checkpoint, HERE / "checkpoint.pt")
    torch.save(nets["language"][0].state_dict(), HERE / "language.pt")
    torch.save(nets["lstm"][0], HERE / "module.pt")
    expected = {name: outputs(*net) for name, net in nets.items()}
    both = Net(nn.LSTM, 3, 4, 2, layers=2, both=True)
    save_file(both.state_dict(), HERE / "both.safetensors")
    expected |= {f"both_{read}": readings(both, numbers, read) for read in READINGS}
    data = {"numbers": numbers, "codes": codes, "texts": texts}
    data = {name: np.concatenate(rows) for name, rows in data.items()}
    data["lengths"] = np.array(LENGTHS)
    np.savez_compressed(HERE / "torch.npz", **data, **expected)


if __name__ == "__main__":
    main()
