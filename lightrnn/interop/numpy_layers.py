"""What `export_numpy` writes into a file, for all kinds of models at once: the weights and what is computed with them.

Of each outer `if` on the constants in capitals a written file has the branch that applies to its model, of the
constants those that are still read, with the model's values, and of everything only what its predictions need
(`export.py`). So what stands here is for the readers of such a file: as simple as it can be, one sequence at a time.
The other half is `_numpy_model.py`.
"""

import base64
import io
from pathlib import Path

import numpy as np

CELL, BIDIRECTIONAL, HEAD, STORE = "lstm", False, "linear", "none"
DEPTH = 1  # layers
WINDOW = 1  # steps that the first layer sees
BASE64 = ""


def sigmoid(a):
    """Squash numbers into (0, 1): 1 / (1 + exp(-a)), in a form that cannot overflow."""
    return (1 + np.tanh(a / 2)) / 2


def softmax(a):
    """Turn the last axis into probabilities: exp(a) / sum(exp(a))."""
    powers = np.exp(a - a.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def log_softmax(a):
    """Return the logarithm of `softmax`."""
    a = a - a.max(axis=-1, keepdims=True)
    return a - np.log(np.exp(a).sum(axis=-1, keepdims=True))


if CELL == "lstm":

    def layer(x, name):
        """Run an LSTM over inputs (T, F) and return its state h after every step, (T, H).

        The memory c is only scaled and added to: the forget gate f says how much of it stays, the input gate i how much
        of the candidate g comes in, and the output gate o how much of it shows in h.
        """
        W_ih, W_hh, b = WEIGHTS[f"{name}.W_ih"], WEIGHTS[f"{name}.W_hh"], WEIGHTS[f"{name}.b"]
        h = c = np.zeros(len(W_hh), W_hh.dtype)
        states = []
        for a in x @ W_ih + b:
            i, f, g, o = (a + h @ W_hh).reshape(4, -1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            states.append(h)
        return np.array(states)

elif CELL == "gru":

    def layer(x, name):
        """Run a GRU over inputs (T, F) and return its state h after every step, (T, H).

        The candidate n sees as much of the old state as the reset gate r lets through; the update gate z says how much
        of the old state stays.
        """
        W_ih, b_ih = WEIGHTS[f"{name}.W_ih"], WEIGHTS[f"{name}.b_ih"]
        W_hh, b_hh = WEIGHTS[f"{name}.W_hh"], WEIGHTS[f"{name}.b_hh"]
        h = np.zeros(len(W_hh), W_hh.dtype)
        states = []
        for a in x @ W_ih + b_ih:
            r, z, n = a.reshape(3, -1)
            r_h, z_h, n_h = (h @ W_hh + b_hh).reshape(3, -1)
            r, z = sigmoid(r + r_h), sigmoid(z + z_h)
            n = np.tanh(n + r * n_h)
            h = (1 - z) * n + z * h
            states.append(h)
        return np.array(states)

elif CELL == "rnn":

    def layer(x, name):
        """Run a plain recurrent layer over inputs (T, F) and return its state h after every step, (T, H)."""
        W_ih, W_hh, b = WEIGHTS[f"{name}.W_ih"], WEIGHTS[f"{name}.W_hh"], WEIGHTS[f"{name}.b"]
        h = np.zeros(len(W_hh), W_hh.dtype)
        states = []
        for a in x @ W_ih + b:
            h = np.tanh(a + h @ W_hh)
            states.append(h)
        return np.array(states)

else:

    def layer(x, name):
        """Return what a feed-forward layer makes of each row of inputs (T, F): (T, H), nothing below zero."""
        return np.maximum(x @ WEIGHTS[f"{name}.W"] + WEIGHTS[f"{name}.b"], 0)


def windows(x):
    """Put beside each step the WINDOW - 1 before it, oldest first, zeros before the start: (T, WINDOW * F)."""
    x = np.vstack([np.zeros((WINDOW - 1, x.shape[1]), x.dtype), x])
    return np.array([x[t : t + WINDOW].ravel() for t in range(len(x) - WINDOW + 1)])


if CELL == "ffnn":

    def hidden(x):
        """Return the last layer's output at every step, (T, H)."""
        x = windows(x)
        for number in range(DEPTH):
            x = layer(x, f"layer{number}")
        return x

elif BIDIRECTIONAL:

    def hidden(x):
        """Return the last layer's states at every step, (T, 2 H): forward's beside backward's."""
        for number in range(DEPTH):
            forward = layer(x, f"layer{number}")
            backward = layer(x[::-1], f"layer{number}.reverse")[::-1]
            x = np.hstack([forward, backward])
        return x

else:

    def hidden(x):
        """Return the last layer's state at every step, (T, H)."""
        for number in range(DEPTH):
            x = layer(x, f"layer{number}")
        return x


if HEAD == "linear":

    def head(features):
        """Return the raw outputs for features (..., D)."""
        return features @ WEIGHTS["head.W"] + WEIGHTS["head.b"]

elif HEAD == "tied":

    def head(features):
        """Return the raw outputs for features (..., D); the embedding serves as the output's matrix too."""
        return features @ WEIGHTS["embedding.W"].T + WEIGHTS["head.b"]

else:

    def head(features):
        """Return the logarithm of every token's probability, for features (..., D).

        An adaptive softmax chooses among the frequent tokens and clusters of rare ones, then within the cluster.
        """
        first = log_softmax(features @ WEIGHTS["head.W"] + WEIGHTS["head.b"])
        n_clusters = sum(name.endswith(".down.W") for name in WEIGHTS)
        parts = [first[..., :-n_clusters]]
        for i in range(n_clusters):
            low = features @ WEIGHTS[f"tail{i}.down.W"] + WEIGHTS[f"tail{i}.down.b"]
            within = log_softmax(low @ WEIGHTS[f"tail{i}.W"] + WEIGHTS[f"tail{i}.b"])
            parts.append(within + first[..., i - n_clusters, None])
        return np.concatenate(parts, axis=-1)


if STORE == "text":
    with np.load(io.BytesIO(base64.b64decode(BASE64))) as file:
        WEIGHTS = dict(file)
elif STORE == "file":
    with np.load(Path(__file__).with_suffix(".weights.npz")) as file:
        WEIGHTS = dict(file)
else:
    WEIGHTS = {}
