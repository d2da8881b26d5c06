"""The first half of the files that `export_numpy` writes: the layers, for all kinds of networks.

This code is copied into files (`numpy_export.py`), so it is written for the readers of such a
file: as simple as it can be, one sequence at a time. Of each outer `if` on the constants in
capitals a file gets the branch of its network, of the constants those that are still read, with the
network's values, and of everything else what its predictions need. `numpy_model.py` is the second
half.
"""

import base64
import hashlib
import io
import math
from pathlib import Path

import numpy as np

CELL = "lstm"
BIDIRECTIONAL = False
POOLING = "last"
HEAD = "linear"
HEAD_DEPTH = 0  # hidden layers of the output layer
ACTIVATION = "relu"
STORE = "none"
DEPTH = 1  # layers
BASE64 = ""
SHA256 = ""  # of the weights


def sigmoid(a):
    """Squash numbers into (0, 1): 1 / (1 + exp(-a)), in a form that cannot overflow."""
    return (1 + np.tanh(a / 2)) / 2


def softmax(a):
    """Turn the last axis into probabilities: exp(a) / sum(exp(a))."""
    # The shift by the maximum cancels out; without it exp may overflow.
    powers = np.exp(a - a.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def log_softmax(a):
    """Return the logarithm of `softmax`."""
    a = a - a.max(axis=-1, keepdims=True)
    return a - np.log(np.exp(a).sum(axis=-1, keepdims=True))


if CELL == "lstm":

    def layer(x, name):
        """Run an LSTM over inputs (T, F); return its state h after every step, (T, H).

        The forget gate f is the part of the memory c that stays, the input gate i the part of the
        candidate g that is added to it, and the output gate o the part of it that h shows.
        """
        W_ih = WEIGHTS[f"{name}.W_ih"]  # (F, 4 * H)
        W_hh = WEIGHTS[f"{name}.W_hh"]  # (H, 4 * H)
        b = WEIGHTS[f"{name}.b"]  # (4 * H,)
        h = c = np.zeros(len(W_hh), W_hh.dtype)
        states = []
        for a in x @ W_ih + b:  # what the input of one step adds to the gates, (4 * H,)
            i, f, g, o = (a + h @ W_hh).reshape(4, -1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            states.append(h)
        return np.array(states)

elif CELL == "gru":

    def layer(x, name):
        """Run a GRU over inputs (T, F); return its state h after every step, (T, H).

        The reset gate r is the part of the old state that the candidate n sees, the update gate z
        the part of the old state that stays.
        """
        W_ih = WEIGHTS[f"{name}.W_ih"]  # (F, 3 * H)
        W_hh = WEIGHTS[f"{name}.W_hh"]  # (H, 3 * H)
        b_ih = WEIGHTS[f"{name}.b_ih"]  # (3 * H,)
        b_hh = WEIGHTS[f"{name}.b_hh"]  # (3 * H,)
        h = np.zeros(len(W_hh), W_hh.dtype)
        states = []
        for a in x @ W_ih + b_ih:  # what the input of one step adds to the gates, (3 * H,)
            r, z, n = a.reshape(3, -1)
            r_h, z_h, n_h = (h @ W_hh + b_hh).reshape(3, -1)
            r = sigmoid(r + r_h)
            z = sigmoid(z + z_h)
            n = np.tanh(n + r * n_h)
            h = (1 - z) * n + z * h
            states.append(h)
        return np.array(states)

elif CELL == "rnn":

    def layer(x, name):
        """Run a plain recurrent layer over inputs (T, F); return its state at each step, (T, H)."""
        W_ih = WEIGHTS[f"{name}.W_ih"]  # (F, H)
        W_hh = WEIGHTS[f"{name}.W_hh"]  # (H, H)
        b = WEIGHTS[f"{name}.b"]  # (H,)
        h = np.zeros(len(W_hh), W_hh.dtype)
        states = []
        for a in x @ W_ih + b:  # the contribution of one step's input, (H,)
            h = np.tanh(a + h @ W_hh)
            states.append(h)
        return np.array(states)

elif CELL == "ffnn":

    def layer(x, name):
        """Return the output of a feed-forward layer for inputs (T, F): (T, H), not negative.

        Its matrix has a row for each input of each step that it sees: this one and those before.
        """
        W = WEIGHTS[f"{name}.W"]  # (steps * F, H)
        steps = len(W) // x.shape[1]
        return np.maximum(windows(x, steps) @ W + WEIGHTS[f"{name}.b"], 0)


def windows(x, steps):
    """Join each step with the steps before it, oldest first, to as many: (T, steps * F)."""
    before = np.zeros((steps - 1, x.shape[1]), x.dtype)  # zeros precede the first step
    x = np.vstack([before, x])
    return np.array([x[t : t + steps].ravel() for t in range(len(x) - steps + 1)])


if BIDIRECTIONAL:

    def hidden(x):
        """Return the last layer's states at every step, (T, 2 * H): forward's, then backward's."""
        for number in range(DEPTH):
            forward = layer(x, f"layer{number}")
            backward = layer(x[::-1], f"layer{number}.reverse")[::-1]
            x = np.hstack([forward, backward])
        return x

else:

    def hidden(x):
        """Return the last layer's output at every step, (T, H)."""
        for number in range(DEPTH):
            x = layer(x, f"layer{number}")
        return x


if POOLING == "mean":

    def final(states):
        """Return the mean of the states (T, D) over all steps."""
        return states.mean(axis=0)

elif POOLING == "max":

    def final(states):
        """Return the maximum of each state (T, D) over all steps."""
        return states.max(axis=0)

elif POOLING == "attention":

    def final(states):
        """Return the mean of the states (T, D), weighted by the softmax of a score per step."""
        return softmax(states @ WEIGHTS["attention.w"]) @ states

elif BIDIRECTIONAL:

    def final(states):
        """Join the final states: forward's at the last step, backward's at the first."""
        forward, backward = np.hsplit(states, 2)
        return np.concatenate([forward[-1], backward[0]])

else:

    def final(states):
        """Return the state at the last step."""
        return states[-1]


if ACTIVATION == "relu":

    def activation(a):
        """Return 0 in the place of negative numbers."""
        return np.maximum(a, 0)

elif ACTIVATION == "tanh":

    def activation(a):
        """Squash numbers into (-1, 1)."""
        return np.tanh(a)

elif ACTIVATION == "sigmoid":

    def activation(a):
        """Squash numbers into (0, 1)."""
        return sigmoid(a)

else:

    def activation(a):
        """Return gelu(a): a times the normal distribution's share of numbers below it."""
        erfc = np.vectorize(math.erfc, otypes=[a.dtype])
        return a / 2 * erfc(-a / 2**0.5)


if HEAD_DEPTH:

    def head(features):
        """Return the raw outputs for features (..., D), by way of hidden layers."""
        for number in range(HEAD_DEPTH):
            sums = features @ WEIGHTS[f"head{number}.W"] + WEIGHTS[f"head{number}.b"]
            features = activation(sums)
        return features @ WEIGHTS["head.W"] + WEIGHTS["head.b"]

elif HEAD == "linear":

    def head(features):
        """Return the raw outputs for features (..., D)."""
        return features @ WEIGHTS["head.W"] + WEIGHTS["head.b"]

elif HEAD == "tied":

    def head(features):
        """Return the raw outputs for features (..., D); the output's matrix is the embedding's."""
        return features @ WEIGHTS["embedding.W"].T + WEIGHTS["head.b"]

else:

    def head(features):
        """Return the logarithm of every token's probability, for features (..., D).

        An adaptive softmax chooses among the frequent tokens and the clusters of rare ones, then
        among the tokens of a cluster.
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

    def read_weights(path):
        """Return the arrays of the file of weights that was written together with this file."""
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != SHA256:
            raise ValueError(f"{path} holds the weights of another model. Export it once more.")
        with np.load(io.BytesIO(content)) as file:
            return dict(file)

    WEIGHTS = read_weights(Path(__file__).with_suffix(".weights.npz"))
else:
    WEIGHTS = {}
