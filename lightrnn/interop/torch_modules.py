"""The classes of a module's parts: whether lightrnn computes each of them."""

from __future__ import annotations

from typing import Any

# Files of torch.nn.modules whose layers are computed here, or change no prediction.
_SUPPORTED_FILES = ("rnn", "linear", "sparse", "dropout", "container", "loss", "batchnorm")
_OUTPUT_ACTIVATIONS = ("Softmax", "LogSoftmax", "Sigmoid")
_HEAD_ACTIVATIONS = ("ReLU", "Tanh", "Sigmoid", "GELU")


def check_modules(module: Any) -> None:
    """Refuse what a state_dict does not show: layers without weights, or an activation but tanh."""
    # Between linear layers, of which the last one needs no activation.
    left = max(0, sum(type(part).__name__ == "Linear" for part in module.modules()) - 1)
    for name, part in module.named_modules():
        if type(part).__name__ in _HEAD_ACTIVATIONS and left:
            left -= 1
            _check_gelu(name, part)
        elif not _is_supported(type(part)):
            raise ValueError(
                f"source must have layers that are computed here, got {name!r} of class "
                f"{type(part).__name__}. They are nn.LSTM, nn.GRU, nn.RNN, nn.Linear, "
                "nn.Embedding, BatchNorm, dropout, and ReLU, Tanh, Sigmoid or GELU between linear "
                "layers; train the model without others."
            )
        nonlinearity = getattr(part, "nonlinearity", "tanh")
        # Any module may have an attribute `nonlinearity`; a recurrent one has a `hidden_size` too.
        if hasattr(part, "hidden_size") and nonlinearity != "tanh":
            raise ValueError(
                f"source must have recurrent layers with tanh, got {name!r} with "
                f"nonlinearity={nonlinearity!r}. Train it with tanh."
            )


def _check_gelu(name: str, part: Any) -> None:
    """Refuse a GELU with another function."""
    if getattr(part, "approximate", "none") != "none":
        raise ValueError(
            f"source must have the exact GELU, got {name!r} with "
            f"approximate={part.approximate!r}. Train it with approximate='none'."
        )


def _is_supported(kind: type) -> bool:
    """Whether a class is the user's own, or one of torch's that is computed here."""
    package, _, file = kind.__module__.rpartition(".")
    own = package != "torch.nn.modules"  # it may only hold layers; its forward cannot be checked
    return own or file in _SUPPORTED_FILES or kind.__name__ in _OUTPUT_ACTIVATIONS
