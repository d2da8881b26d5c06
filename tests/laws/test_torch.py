"""PyTorch as the second oracle: its LSTM, GRU and RNN, values and gradients, stacked, bidirectional and ragged."""

import numpy as np
import pytest

from lightrnn.losses import make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.network import Network

torch = pytest.importorskip("torch", reason="torch is an optional peer")

LENGTHS = (4, 9, 1, 9, 6, 2, 3)


def pair(cell, sizes, bidirectional, target, dtype):
    """Ours, and theirs with our weights; layers of different sizes are modules of their own."""
    ours = Network(cell, 3, sizes, 2, bidirectional=bidirectional, target=target, dtype=dtype)
    rng = np.random.default_rng(0)
    ours.assign({name: rng.normal(0, 0.5, array.shape) for name, array in ours.arrays().items()})
    kind = getattr(torch.nn, cell.upper())
    features = 3
    layers = []
    for number, H in enumerate(sizes):
        layer = kind(
            features, H, bidirectional=bidirectional, batch_first=True, dtype=getattr(torch, dtype)
        )
        copy_weights(ours.arrays(), f"layer{number}", layer)
        layers.append(layer)
        features = H * (1 + bidirectional)
    head = torch.nn.Linear(features, 2, dtype=getattr(torch, dtype))
    copy_into(head.weight, ours.arrays()["head.W"].T)
    copy_into(head.bias, ours.arrays()["head.b"])
    return ours, layers, head


def copy_into(parameter, array):
    with torch.no_grad():
        parameter.copy_(torch.tensor(np.ascontiguousarray(array)))


def their_names(name, bidirectional):
    """Our layer's name, and their suffix, for each direction."""
    return [(name, "_l0"), (f"{name}.reverse", "_l0_reverse")][: 1 + bidirectional]


def copy_weights(arrays, name, layer):
    for ours, suffix in their_names(name, layer.bidirectional):
        for matrix in ("ih", "hh"):
            copy_into(getattr(layer, f"weight_{matrix}{suffix}"), arrays[f"{ours}.W_{matrix}"].T)
        copy_into(
            getattr(layer, f"bias_ih{suffix}"), arrays.get(f"{ours}.b", arrays.get(f"{ours}.b_ih"))
        )
        b_hh = arrays.get(f"{ours}.b_hh", 0 * getattr(layer, f"bias_hh{suffix}").detach().numpy())
        copy_into(getattr(layer, f"bias_hh{suffix}"), b_hh)


def their_gradients(layers, head):
    """By our names."""
    gradients = {"head.W": head.weight.grad.T, "head.b": head.bias.grad}
    for number, layer in enumerate(layers):
        for ours, suffix in their_names(f"layer{number}", layer.bidirectional):
            for matrix in ("ih", "hh"):
                gradients[f"{ours}.W_{matrix}"] = getattr(layer, f"weight_{matrix}{suffix}").grad.T
                gradients[f"{ours}.b_{matrix}"] = getattr(layer, f"bias_{matrix}{suffix}").grad
            gradients[f"{ours}.b"] = gradients[f"{ours}.b_ih"]
    return gradients


def their_outputs(layers, head, X, target):
    """Raw outputs, all sequences' steps one after another for "step"."""
    pad, pack, unpad = (
        getattr(torch.nn.utils.rnn, name)
        for name in ("pad_sequence", "pack_padded_sequence", "pad_packed_sequence")
    )
    rows = pad([torch.tensor(x) for x in X], batch_first=True)
    for layer in layers:
        packed, final = layer(pack(rows, LENGTHS, batch_first=True, enforce_sorted=False))
        rows, _ = unpad(packed, batch_first=True)
    if target == "step":
        return head(torch.cat([row[:T] for row, T in zip(rows, LENGTHS, strict=True)]))
    h = final[0] if isinstance(final, tuple) else final
    return head(torch.cat(list(h), dim=1))


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
        loss = torch.nn.functional.cross_entropy(
            raw := their_outputs(layers, head, X, target), torch.tensor(codes)
        )
        loss.backward()
        cut = np.cumsum(LENGTHS)[:-1]
        targets, weights = (
            np.split(v, cut) if target == "step" else v for v in (codes, np.ones(n))
        )
        value = ours.loss_and_gradient(
            Batch.of(X, targets, weights, None, ours), make_loss("softmax")
        )
        got = ours.outputs(X)
        got = np.concatenate(got) if target == "step" else got
        assert np.allclose(got, raw.detach().numpy(), rtol=tolerance, atol=tolerance)
        assert np.isclose(value, loss.item(), rtol=tolerance)
        theirs = their_gradients(layers, head)
        for name, gradient in ours.named(ours.gradient).items():
            assert np.allclose(gradient, theirs[name].numpy(), rtol=tolerance, atol=tolerance), name
