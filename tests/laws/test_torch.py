"""Outputs and gradients equal those of PyTorch's LSTM, GRU and RNN."""

import numpy as np
import pytest
from helpers.networks import randomize

from lightrnn.cells import HEAD_CELLS
from lightrnn.losses import make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.network import Network

torch = pytest.importorskip("torch", reason="torch is an optional peer")

LENGTHS = (4, 9, 1, 9, 6, 2, 3)


def pair(cell, sizes, bidirectional, target, dtype, **options):
    """Return our network, and PyTorch's layers and last layer with the same weights.

    PyTorch's recurrent layers have one size, so each of ours is a module of its own.
    """
    both = {"bidirectional": bidirectional, "dtype": dtype}
    ours = randomize(
        Network(cell, 3, sizes, 2, target=target, **both, **options), np.random.default_rng(0)
    )
    arrays = ours.arrays()
    features = 3
    layers = []
    for number, H in enumerate(sizes):
        kind = getattr(torch.nn, cell.upper())
        layer = kind(features, H, batch_first=True, **both | {"dtype": getattr(torch, dtype)})
        copy_weights(arrays, f"layer{number}", layer)
        layers.append(layer)
        features = H * (1 + bidirectional)
    return ours, layers, linear(arrays, "head")


def linear(arrays, name):
    """Return the linear layer of PyTorch with the weights of ours."""
    W = torch.tensor(arrays[f"{name}.W"])
    layer = torch.nn.Linear(*W.shape, dtype=W.dtype)
    copy_into(layer.weight, W.T)
    copy_into(layer.bias, arrays[f"{name}.b"])
    return layer


def copy_into(parameter, array):
    with torch.no_grad():
        parameter.copy_(torch.as_tensor(np.ascontiguousarray(array)))


def their_names(name, bidirectional):
    """Return the name of our layer and the suffix of PyTorch's, for each direction."""
    return [(name, "_l0"), (f"{name}.reverse", "_l0_reverse")][: 1 + bidirectional]


def copy_weights(arrays, name, layer):
    for ours, suffix in their_names(name, layer.bidirectional):
        for matrix in ("ih", "hh"):
            copy_into(getattr(layer, f"weight_{matrix}{suffix}"), arrays[f"{ours}.W_{matrix}"].T)
        # Only the gru has two biases; the second one of PyTorch's other cells is set to zero.
        b_ih = arrays.get(f"{ours}.b", arrays.get(f"{ours}.b_ih"))
        copy_into(getattr(layer, f"bias_ih{suffix}"), b_ih)
        copy_into(getattr(layer, f"bias_hh{suffix}"), arrays.get(f"{ours}.b_hh", 0 * b_ih))


def their_gradients(layers, head):
    """Return PyTorch's gradients by our names."""
    gradients = {"head.W": head.weight.grad.T, "head.b": head.bias.grad}
    for number, layer in enumerate(layers):
        for ours, suffix in their_names(f"layer{number}", layer.bidirectional):
            for matrix in ("ih", "hh"):
                gradients[f"{ours}.W_{matrix}"] = getattr(layer, f"weight_{matrix}{suffix}").grad.T
                gradients[f"{ours}.b_{matrix}"] = getattr(layer, f"bias_{matrix}{suffix}").grad
            gradients[f"{ours}.b"] = gradients[f"{ours}.b_ih"]
    return gradients


def their_states(layers, X):
    """Return PyTorch's states (B, T, D), padded, and the final state of its last layer."""
    rnn = torch.nn.utils.rnn
    padded = rnn.pad_sequence([torch.tensor(x) for x in X], batch_first=True)  # (B, T, F)
    for layer in layers:
        packed = rnn.pack_padded_sequence(padded, LENGTHS, batch_first=True, enforce_sorted=False)
        states, final = layer(packed)
        padded, _ = rnn.pad_packed_sequence(states, batch_first=True)
    return padded, final[0] if isinstance(final, tuple) else final


def their_outputs(layers, head, X, target):
    """Return PyTorch's raw outputs; for "step" those of all sequences, concatenated."""
    states, final = their_states(layers, X)
    if target == "step":
        return head(torch.cat([row[:T] for row, T in zip(states, LENGTHS, strict=True)]))
    return head(torch.cat(list(final), dim=1))


def pooled(states, lengths, pooling, attention):
    """Return the states (B, T, D) of each sequence as one, (B, D)."""
    rows = []
    for row, T in zip(states, lengths, strict=True):
        h = row[:T]
        by_attention = (torch.softmax(attention(h), dim=0) * h).sum(dim=0)
        rows.append({"mean": h.mean(0), "max": h.amax(0), "attention": by_attention}[pooling])
    return torch.stack(rows)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
@pytest.mark.parametrize(("cell", "bidirectional"), [("gru", True), ("lstm", False)])
def test_pooling_and_its_gradients(cell, bidirectional, pooling):
    options = {"bidirectional": bidirectional, "target": "sequence", "dtype": "float64"}
    ours, layers, head = pair(cell, (18,), **options, pooling=pooling)
    arrays = ours.arrays()
    attention = torch.nn.Linear(len(arrays["head.W"]), 1, bias=False, dtype=torch.float64)
    if pooling == "attention":
        copy_into(attention.weight, arrays["attention.w"][None])
    rng = np.random.default_rng(1)
    X = [rng.normal(size=(T, 3)) for T in LENGTHS]
    codes = rng.integers(0, 2, len(X))
    raw = head(pooled(their_states(layers, X)[0], LENGTHS, pooling, attention))
    loss = torch.nn.functional.cross_entropy(raw, torch.tensor(codes))
    loss.backward()
    batch = Batch.of(X, codes, np.ones(len(X)))
    assert np.isclose(ours.loss_and_gradient(batch, make_loss("softmax")), loss.item(), rtol=1e-11)
    assert np.allclose(ours.outputs(X), raw.detach().numpy(), rtol=1e-11, atol=1e-11)
    theirs = their_gradients(layers, head)
    if pooling == "attention":
        theirs["attention.w"] = attention.weight.grad[0]
    for name, gradient in ours.named(ours.gradient).items():
        assert np.allclose(gradient, theirs[name].numpy(), rtol=1e-11, atol=1e-11), name


@pytest.mark.parametrize("activation", HEAD_CELLS)
def test_hidden_layers_of_the_head_and_their_gradients(activation):
    options = {"bidirectional": True, "target": "step", "dtype": "float64"}
    head = {"head_layer_sizes": (18, 3), "head_activation": activation}
    ours, recurrent, _ = pair("rnn", (5,), **options, **head)
    names = ("head0", "head1", "head")
    layers = [linear(ours.arrays(), name) for name in names]
    function = {"gelu": torch.nn.functional.gelu}.get(activation) or getattr(torch, activation)
    rng = np.random.default_rng(1)
    X = [rng.normal(size=(T, 3)) for T in LENGTHS]
    y = [rng.normal(size=(T, 2)) for T in LENGTHS]
    theirs = lambda h: layers[2](function(layers[1](function(layers[0](h)))))  # noqa: E731
    raw = their_outputs(recurrent, theirs, X, "step")
    loss = ((raw - torch.tensor(np.concatenate(y))) ** 2).mean()
    loss.backward()
    batch = Batch.of(X, y, [np.ones(T) for T in LENGTHS])
    value = ours.loss_and_gradient(batch, make_loss("squared_error"))
    assert np.allclose(np.concatenate(ours.outputs(X)), raw.detach().numpy(), rtol=1e-11)
    assert np.isclose(value, loss.item(), rtol=1e-11)
    gradients = ours.named(ours.gradient)
    for name, layer in zip(names, layers, strict=True):
        for array, parameter in (("W", layer.weight.grad.T), ("b", layer.bias.grad)):
            found = gradients[f"{name}.{array}"]
            assert np.allclose(found, parameter.numpy(), rtol=1e-11, atol=1e-13)
    want = recurrent[0].weight_ih_l0.grad.T.numpy()
    assert np.allclose(gradients["layer0.W_ih"], want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("target", ["sequence", "step"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sizes", [(5,), (18, 7)], ids=str)
def test_values_and_gradients(cell, target, bidirectional, sizes):
    for dtype, tolerance in (("float64", 1e-11), ("float32", 1e-4)):
        ours, layers, head = pair(cell, sizes, bidirectional, target, dtype)
        rng = np.random.default_rng(1)
        X = [rng.normal(size=(T, 3)).astype(dtype) for T in LENGTHS]
        n = sum(LENGTHS) if target == "step" else len(LENGTHS)
        codes = rng.integers(0, 2, n)
        raw = their_outputs(layers, head, X, target)
        loss = torch.nn.functional.cross_entropy(raw, torch.tensor(codes))
        loss.backward()
        targets = codes
        weights = np.ones(n)
        outputs = ours.outputs(X)
        if target == "step":
            cuts = np.cumsum(LENGTHS)[:-1]
            targets = np.split(codes, cuts)
            weights = np.split(weights, cuts)
            outputs = np.concatenate(outputs)
        batch = Batch.of(X, targets, weights)
        value = ours.loss_and_gradient(batch, make_loss("softmax"))
        assert np.allclose(outputs, raw.detach().numpy(), rtol=tolerance, atol=tolerance)
        assert np.isclose(value, loss.item(), rtol=tolerance)
        theirs = their_gradients(layers, head)
        for name, gradient in ours.named(ours.gradient).items():
            assert np.allclose(gradient, theirs[name].numpy(), rtol=tolerance, atol=tolerance), name
