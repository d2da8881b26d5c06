"""JAX's side: a layer as `lax.scan` under jit, and the same layer of Keras; imported only if asked.

XLA reads its number of threads when it starts, so this module is imported once the process has
been given its CPU: see `jax_steps.py`.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import keras
import numpy as np

RATE = 1e-3
CLIP = 1.0
LAYERS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}

Parameters = dict[str, jax.Array]


def make_parameters(n_gates: int, F: int, H: int, outputs: int) -> Parameters:
    """Return the parameters of a layer and its output layer."""
    rng = np.random.default_rng(0)
    shapes = {
        "W_ih": (F, n_gates * H),
        "W_hh": (H, n_gates * H),
        "b": (n_gates * H,),
        "b_hh": (n_gates * H,),  # a GRU needs the second one
        "W": (H, outputs),
        "c": (outputs,),
    }
    return {
        name: jnp.asarray(rng.uniform(-1, 1, shape) / np.sqrt(H), jnp.float32)
        for name, shape in shapes.items()
    }


def _lstm(p: Parameters, state: Any, a: jax.Array) -> Any:
    h, c = state
    i, f, g, o = jnp.split(a + h @ p["W_hh"], 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None


def _gru(p: Parameters, state: Any, a: jax.Array) -> Any:
    (h,) = state
    r, z, n = jnp.split(a, 3, axis=1)
    h_r, h_z, h_n = jnp.split(h @ p["W_hh"] + p["b_hh"], 3, axis=1)
    z = jax.nn.sigmoid(z + h_z)
    n = jnp.tanh(n + jax.nn.sigmoid(r + h_r) * h_n)
    return ((1 - z) * n + z * h,), None


def _rnn(p: Parameters, state: Any, a: jax.Array) -> Any:
    (h,) = state
    return (jnp.tanh(a + h @ p["W_hh"]),), None


CELLS = {"lstm": (_lstm, 2), "gru": (_gru, 1), "rnn": (_rnn, 1)}  # with the number of states


def _loss(p: Parameters, cell: str, X: jax.Array, y: jax.Array) -> jax.Array:
    """Return the mean cross-entropy of sequences (B, T, F) of the classes y (B,)."""
    step, states = CELLS[cell]
    zero = jnp.zeros((len(X), p["W_hh"].shape[0]), X.dtype)
    inputs = jnp.swapaxes(X, 0, 1) @ p["W_ih"] + p["b"]  # (T, B, G * H), all steps at once
    (h, *_), _ = jax.lax.scan(partial(step, p), (zero,) * states, inputs)
    logits = jax.nn.log_softmax(h @ p["W"] + p["c"])
    return -jnp.mean(jnp.take_along_axis(logits, y[:, None], axis=1))


@partial(jax.jit, static_argnames="cell", donate_argnames=("p", "moments"))
def _train(p: Parameters, moments: Any, t: jax.Array, cell: str, X: jax.Array, y: jax.Array) -> Any:
    """Return parameters and moments after a step of Adam along the clipped gradient, and a loss."""
    loss, gradient = jax.value_and_grad(_loss)(p, cell, X, y)
    norm = jnp.sqrt(sum(jnp.sum(g * g) for g in gradient.values()))
    scale = jnp.minimum(1.0, CLIP / norm)
    rate = RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    first, second = moments
    first = {name: 0.9 * first[name] + 0.1 * scale * g for name, g in gradient.items()}
    second = {name: 0.999 * second[name] + 0.001 * (scale * g) ** 2 for name, g in gradient.items()}
    p = {name: p[name] - rate * first[name] / (jnp.sqrt(second[name]) + 1e-8) for name in p}
    return p, (first, second), loss


class Training:
    """A layer with its output layer, loss and Adam, compiled at the first step."""

    def __init__(self, cell: str, n_gates: int, F: int, H: int, outputs: int) -> None:
        self.cell = cell
        self.p = make_parameters(n_gates, F, H, outputs)
        self.moments = tuple(jax.tree.map(jnp.zeros_like, self.p) for _ in range(2))
        self.t = 0

    def step(self, X: jax.Array, y: jax.Array) -> float:
        """Train on one minibatch."""
        self.t += 1
        self.p, self.moments, loss = _train(
            self.p, self.moments, jnp.float32(self.t), self.cell, X, y
        )
        return float(loss)  # waits until all is computed


def keras_step(cell: str, X: np.ndarray, y: np.ndarray, H: int, outputs: int) -> Callable[[], Any]:
    """Return a training step of the same network of Keras."""
    layers = [keras.Input(X.shape[1:]), LAYERS[cell](H), keras.layers.Dense(outputs)]
    model = keras.Sequential(layers)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(RATE, global_clipnorm=CLIP), loss)
    return partial(model.train_on_batch, X, y)
