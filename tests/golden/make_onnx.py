"""Write the golden files of torch.onnx: networks with random weights, and their outputs.

    python tests/golden/make_onnx.py

The outputs for the sequences of ``onnx.npz`` go into it. Names that end with "_new" are files of
the newer exporter, which needs onnxscript; the others are the older one's.
"""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

HERE = Path(__file__).parent
READINGS = {
    "step": lambda rows, final: rows,
    "final": lambda rows, final: torch.cat(list(final), 1),
    "last": lambda rows, final: rows[:, -1],
    "mean": lambda rows, final: rows.mean(1),
}


class Net(nn.Module):
    """A scaler, an embedding or nothing, layers, a BatchNorm or nothing, and a linear layer."""

    def __init__(self, cell, read, layers=1, both=False, tokens=0, scaled=False, end=None):
        super().__init__()
        self.embedding = nn.Embedding(tokens, 3) if tokens else nn.Identity()
        self.below = nn.Linear(3, 3) if scaled else nn.Identity()
        self.rnn = cell(3, 3, layers, bidirectional=both, batch_first=True)
        self.norm = nn.BatchNorm1d(3 * (1 + both)) if scaled else nn.Identity()
        self.fc = nn.Linear(3 * (1 + both), 2)
        self.read = read
        self.both = both
        self.scaled = scaled
        self.end = end or nn.Identity()

    def forward(self, x):
        x = self.below((x - 0.5) / 2) if self.scaled else self.embedding(x)
        rows, state = self.rnn(x)
        state = state[0] if isinstance(state, tuple) else state  # an LSTM returns h and c
        y = self.fc(self.norm(READINGS[self.read](rows, state[-1 - self.both :])))
        return self.end(3 * y + 1 if self.scaled else y)


NETS = {
    "lstm_final": (nn.LSTM, "final", 2, True),
    "lstm_last": (nn.LSTM, "last", 2, True, 0, False, nn.Softmax(1)),
    "gru_step": (nn.GRU, "step", 1, True),
    "gru_mean_new": (nn.GRU, "mean", 1, False, 0, False, nn.LogSoftmax(1)),
    "rnn_scaled": (nn.RNN, "final", 1, False, 0, True),
    "lstm_tokens_new": (nn.LSTM, "last", 1, False, 7, False, nn.Sigmoid()),
}


def main():
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    data = {"numbers": rng.normal(size=(2, 5, 3)).astype(np.float32)}
    data["codes"] = rng.integers(0, 7, (2, 5))
    for name, arguments in NETS.items():
        net = Net(*arguments).eval()
        if net.scaled:
            nn.init.normal_(net.norm.running_mean)
            nn.init.uniform_(net.norm.running_var, 0.5, 2)
        x = torch.tensor(data["codes" if "tokens" in name else "numbers"])
        options = {"dynamo": False, "input_names": ["x"]}
        options["dynamic_axes"] = {"x": {0: "batch", 1: "time"}}
        if name.endswith("_new"):
            options = {"dynamo": True, "verbose": False, "external_data": False}
        torch.onnx.export(net, (x,), HERE / f"{name}.onnx", **options)
        data[name] = net(x).detach().numpy()
    np.savez_compressed(HERE / "onnx.npz", **data)


if __name__ == "__main__":
    main()
