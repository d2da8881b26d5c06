"""The slow and obvious oracle: one sequence and one step at a time, in NumPy alone.

Weights are the public named arrays (`weights_`). A mask multiplies the output of a layer; states
are what a sequence starts from, one for each layer and direction: (h,) or, for the lstm, (h, c).
"""

from math import erf

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_step(W, x, state):
    # Elman (1990)
    h = np.tanh(x @ W["W_ih"] + state[0] @ W["W_hh"] + W["b"])
    return (h,)


def lstm_step(W, x, state):
    h, c = state
    # Gates i, f, g, o, as PyTorch orders them
    i, f, g, o = np.split(x @ W["W_ih"] + h @ W["W_hh"] + W["b"], 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_step(W, x, state):
    h = state[0]
    # Gates r, z, n; the reset gate acts after the product, as in PyTorch and cuDNN
    from_x = np.split(x @ W["W_ih"] + W["b_ih"], 3)
    from_h = np.split(h @ W["W_hh"] + W["b_hh"], 3)
    r = sigmoid(from_x[0] + from_h[0])
    z = sigmoid(from_x[1] + from_h[1])
    n = np.tanh(from_x[2] + r * from_h[2])
    return ((1 - z) * n + z * h,)


STEPS = {"rnn": rnn_step, "gru": gru_step, "lstm": lstm_step}


def part(weights, layer):
    """Return the arrays of one layer by their names without its own."""
    return {
        name[len(layer) + 1 :]: a for name, a in weights.items() if name.rsplit(".", 1)[0] == layer
    }


def recurrent_layer(W, cell, X, state):
    """Return the output at every step, and the state at the end."""
    outputs = []
    for x in X:
        state = STEPS[cell](W, x, state)
        outputs.append(state[0])
    return np.array(outputs), state


def window_layer(W, X, window):
    """Return outputs whose step t sees inputs t - window + 1 .. t, zeros before the start."""
    outputs = []
    for t in range(len(X)):
        seen = [X[s] if s >= 0 else np.zeros(X.shape[1]) for s in range(t - window + 1, t + 1)]
        outputs.append(np.maximum(np.concatenate(seen) @ W["W"] + W["b"], 0))
    return np.array(outputs)


def zeros(weights, cell, layer):
    """Return the zero state."""
    H = len(weights[f"{layer}.W_hh"])
    return (np.zeros(H),) * (2 if cell == "lstm" else 1)


def standardised(est, X):
    """Return sequences as the first layer of a fitted estimator sees them."""
    if est.X_mean_ is None:
        return X
    return [(x - est.X_mean_) / est.X_scale_ for x in X]


def pooled(weights, kind, X):
    """Return the states (T, D) of all steps as one (D,)."""
    if kind == "max":
        return X.max(axis=0)
    # Lin et al. (2017), section 2.1, with one query and no hidden layer
    scores = X @ weights["attention.w"] if kind == "attention" else np.zeros(len(X))
    shares = np.exp(scores - scores.max())
    return shares / shares.sum() @ X


def hidden(weights, cell, X, window=1, masks=None, states=None, pooling="last"):
    """Return the last layer's output at every step, its summary, and each layer's final state."""
    if "embedding.W" in weights:
        X = weights["embedding.W"][X]
    sizes = sum(
        name.startswith("layer") and name.endswith(("W_ih", ".W")) and "reverse" not in name
        for name in weights
    )
    finals = []
    for number in range(sizes):
        name = f"layer{number}"
        reverse = f"layer{number}.reverse"
        if cell == "ffnn":
            X = window_layer(part(weights, name), X, window if number == 0 else 1)
            summary = X[-1]
        else:
            start = states[len(finals)] if states else zeros(weights, cell, name)
            forward, final = recurrent_layer(part(weights, name), cell, X, start)
            finals.append(final)
            summary = final[0]
            if f"{reverse}.W_ih" in weights:
                backward, final = recurrent_layer(
                    part(weights, reverse), cell, X[::-1], zeros(weights, cell, reverse)
                )
                finals.append(final)
                forward = np.hstack([forward, backward[::-1]])
                summary = np.concatenate([summary, final[0]])
            X = forward
        if pooling != "last" and number == sizes - 1:
            summary = pooled(weights, pooling, X)
        if masks is not None:
            X = X * masks[number]
            summary = summary * masks[number]
    return X, summary, finals


ACTIVATIONS = {
    "relu": lambda a: np.maximum(a, 0),
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    # Hendrycks and Gimpel (2016)
    "gelu": lambda a: a / 2 * (1 + np.vectorize(erf)(a / np.sqrt(2))),
}


def outputs(weights, cell, X, target="sequence", activation="relu", **options):
    """Return raw outputs: (k,) for the sequence, or (T, k)."""
    steps, summary, _ = hidden(weights, cell, np.asarray(X), **options)
    return head(weights, steps if target == "step" else summary, activation)


def head(weights, features, activation="relu"):
    """Return the raw outputs of features (..., D), of whatever output layer the weights are."""
    number = 0
    while f"head{number}.W" in weights:
        layer = part(weights, f"head{number}")
        features = ACTIVATIONS[activation](features @ layer["W"] + layer["b"])
        number += 1
    W = weights["head.W"] if "head.W" in weights else weights["embedding.W"].T
    raw = features @ W + weights["head.b"]
    clusters = sum(name.endswith(".down.W") for name in weights)
    if not clusters:
        return raw
    logs = log_softmax(raw)
    parts = [logs[..., :-clusters]]
    for i in range(clusters):
        low = features @ weights[f"tail{i}.down.W"] + weights[f"tail{i}.down.b"]
        inside = log_softmax(low @ weights[f"tail{i}.W"] + weights[f"tail{i}.b"])
        parts.append(inside + logs[..., i - clusters, None])
    return np.concatenate(parts, axis=-1)


def log_softmax(raw):
    return raw - np.log(np.sum(np.exp(raw), axis=-1, keepdims=True))


def row_loss(name, raw, y, delta=1.0, quantile=0.5):
    """Return the loss of a row of raw outputs: y is a class for softmax, else one per output."""
    if name == "softmax":
        return np.log(np.sum(np.exp(raw))) - raw[y]
    costs = []
    quantiles = np.broadcast_to(quantile, np.size(raw))  # one for all outputs, or one for each
    for r, t, q in zip(np.ravel(raw), np.ravel(y), quantiles, strict=True):
        e = abs(r - t)
        costs.append(
            {
                "sigmoid": -t * np.log(sigmoid(r)) - (1 - t) * np.log(1 - sigmoid(r)),
                "squared_error": e**2,
                "absolute_error": e,
                "huber": e**2 / 2 if e <= delta else delta * (e - delta / 2),
                "quantile": q * e if t >= r else (1 - q) * e,
            }[name]
        )
    return np.mean(costs)


def mean_loss(name, raws, targets, weights, **options):
    """Return sum(w * l) / n over the n rows with a positive weight."""
    total = sum(
        w * row_loss(name, raw, y, **options)
        for raw, y, w in zip(raws, targets, weights, strict=True)
    )
    return total / np.count_nonzero(weights)
