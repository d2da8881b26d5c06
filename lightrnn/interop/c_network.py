"""The network of an exported C file: its step's statements, its constants and its state."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..cells import CELLS
from ..nn.state_dict import Direction
from ..utils.checks import check_finite_weights
from .c_text import array, count_exponentials, quantized
from .foreign import reorder_gates
from .summary import Summary

# A mean beyond this multiple of the scale: float would round off more than 6e-5 of a deviation.
_FAR = 1000.0
_BYTES = {"int": 4, "float": 4, "double": 8}


class Variable(NamedTuple):
    """A variable of C: an array, or with size 0 a single value."""

    kind: str
    name: str
    size: int

    @property
    def bytes(self) -> int:
        """The memory that it takes."""
        return _BYTES[self.kind] * max(1, self.size)

    @property
    def declaration(self) -> str:
        """The declaration in C."""
        return f"{self.kind} {self.name}" + (f"[{self.size}];" if self.size else ";")


class NetworkWriter:
    """Collects a network's code: each method adds statements, and constants that these read.

    Parameters
    ----------
    summary : Summary
        The estimator.
    dtype : dtype
        float32 or float64: the type of all computation.
    quantize : bool
        Whether matrices have 8 bits.

    Attributes
    ----------
    lines : list of str
        Statements of one step, from its ``input`` to its ``output``.
    constants : list of str
        Definitions of arrays of constants.
    state, scratch : list of Variable
        Parts of the state, and local arrays.
    flash : int
        Bytes of the constants.
    multiply_adds, exponentials : int
        Their numbers in a step.
    """

    def __init__(self, summary: Summary, dtype: np.dtype, quantize: bool) -> None:
        self.summary = summary
        self.dtype = dtype
        self.real = {"float32": "float", "float64": "double"}[dtype.name]
        self.quantize = quantize
        self.lines: list[str] = []
        self.constants: list[str] = []
        self.state: list[Variable] = []
        self.scratch: list[Variable] = []
        self.flash = 0
        self.multiply_adds = 0
        self.exponentials = 0
        self._sums = 0  # length of the longest array of sums

    @property
    def scratch_bytes(self) -> int:
        """The bytes of local arrays."""
        return sum(part.bytes for part in self.scratch)

    @property
    def state_bytes(self) -> int:
        """The bytes of a state."""
        total = sum(part.bytes for part in self.state)
        largest = max(_BYTES[part.kind] for part in self.state)
        return -(-total // largest) * largest

    # -- pieces -----------------------------------------------------------------------------------

    def add(self, *lines: str) -> None:
        """Add statements."""
        self.lines += lines

    def constant(self, name: str, values: Any, comment: str = "", dtype: Any = None) -> str:
        """Add an array of constants; return its name."""
        with np.errstate(over="ignore"):
            stored = np.asarray(values).astype(dtype or self.dtype)
        if stored.dtype.kind == "f":
            check_finite_weights({name: stored}, "C has float here: use dtype='float64'.")
        self.flash += stored.nbytes
        self.constants.append(array(name, stored, comment))
        return name

    def matrix(self, name: str, values: np.ndarray, comment: str) -> str:
        """Add a matrix; return what stands for it in a call."""
        comment = f"{comment} {values.shape}"
        if not self.quantize:
            return self.constant(name, values, comment)
        scale, integers = quantized(values.astype(self.dtype))
        self.constant(name, integers, f"{comment}, each row of it to be scaled", np.int8)
        self.constant(f"{name}_scale", scale)
        return f"{name}, {name}_scale"

    def product(self, y: str, x: str, name: str, values: np.ndarray, comment: str) -> None:
        """Add ``y += x W``."""
        rows, columns = values.shape
        self.multiply_adds += values.size
        function = "add_product_8bit" if self.quantize else "add_product"
        self.add(f"{function}({y}, {x}, {self.matrix(name, values, comment)}, {rows}, {columns});")

    def linear(self, y: str, x: str, name: str) -> None:
        """Add ``y = b + x W`` for the arrays of this name."""
        W = self.summary.weights[f"{name}.W"]
        own = name.replace(".", "_")
        b = self.constant(f"{own}_b", self.summary.weights[f"{name}.b"], f"{own}: b")
        self.add(f"copy({y}, {b}, {W.shape[1]});")
        self.product(y, x, f"{own}_W", W, f"{own}: W")

    def keep(self, name: str, size: int, kind: str = "") -> str:
        """Add a part of the state; return its name in statements."""
        self.state.append(Variable(kind or self.real, name, size))
        return f"state->{name}"

    def local(self, name: str, size: int, kind: str = "") -> str:
        """Add a local array; return its name."""
        self.scratch.append(Variable(kind or self.real, name, size))
        return name

    # -- the network ------------------------------------------------------------------------------

    def write(self) -> None:
        """Add the whole network."""
        features = "input"
        for number in range(len(self.summary.layers)):
            features = self._layer(number, features)
        if self.summary.pooling != "last" and not self.summary.step:
            features = self._pooled(features)
        self.local("a", max(self._sums, *self.summary.head_units, 0))
        self.add("if (!output) {", "    return;", "}")
        self._head(features)

    def _layer(self, number: int, features: str) -> str:
        """Add a layer; return the name of its h."""
        summary = self.summary
        cell = CELLS[summary.cell]
        H = summary.units[number]
        layer = f"layer{number}"
        self._sums = max(self._sums, len(cell.slots) * H)
        self.exponentials += H * count_exponentials(summary.cell)
        if number:
            self.add("")
        if not cell.recurrent:
            if number == 0:
                features = self._window()
            self.add(f"/* {layer}: a = b + {features} W */")
            self.linear("a", features, layer)
            states = [self.local(f"{layer}_h", H)]
        else:
            states = [self.keep(f"{layer}_{state}", H) for state in cell.states]
            self._recurrent_sums(layer, features, states[0])
        self.add(f"{summary.cell}(a, {H}, {', '.join(states)});")
        return states[0]

    def _recurrent_sums(self, layer: str, x: str, h: str) -> None:
        """Add the sums of a recurrent layer's slots."""
        cell = CELLS[self.summary.cell]
        direction = Direction.of(self.summary.weights, layer)
        W_ih, b_ih = (
            reorder_gates(part, cell.gates, cell.input_gates)
            for part in (direction.W_ih, direction.b_ih)
        )
        W_hh, b_hh = (
            reorder_gates(part, cell.gates, cell.state_gates)
            for part in (direction.W_hh, direction.b_hh)
        )
        H = len(W_hh)
        # The first slot that the state feeds; the input feeds as many from the first of all.
        first = H * (len(cell.slots) - len(cell.gates))
        b = np.zeros(H * len(cell.slots))
        b[: len(b_ih)] += b_ih
        b[first:] += b_hh
        fed = [
            ", ".join(slots[: len(cell.gates)])
            for slots in (cell.slots, cell.slots[-len(cell.gates) :])
        ]
        formula = f"a = b + {x} W_ih + h W_hh"
        if first:
            formula += f"; {x} feeds {fed[0]}, and h feeds {fed[1]}"
        self.add(f"/* {layer}: {formula} */")
        self.constant(f"{layer}_b", b, f"{layer}: b, of {', '.join(cell.slots)}, {b.shape}")
        self.add(f"copy(a, {layer}_b, {len(b)});")
        self.product("a", x, f"{layer}_W_ih", W_ih, f"{layer}: W_ih, columns {fed[0]}")
        sums = f"a + {first}" if first else "a"
        self.product(sums, h, f"{layer}_W_hh", W_hh, f"{layer}: W_hh, columns {fed[1]}")

    def _window(self) -> str:
        """Add the window of the last inputs, oldest first; return its name."""
        F = self.summary.n_features
        rest = F * (self.summary.window - 1)
        window = self.keep("window", rest + F)
        self.add("/* the last inputs, oldest first */")
        if rest:
            self.add(f"copy({window}, {window} + {F}, {rest});")
        self.add(f"copy({window} + {rest}, input, {F});", "")
        return window

    # -- pooling ----------------------------------------------------------------------------------

    def _pooled(self, h: str) -> str:
        """Add the pooling of the states h; return the name of the pooled state."""
        D = self.summary.units[-1]
        pooled = self.keep("pooled", D)
        total = f"&{self.keep('pooled_weight', 0)}"
        if self.summary.pooling == "max":
            self.add("", f"max_pool({pooled}, {total}, {h}, {D});")
            return pooled
        weight = "1.0f"
        if self.summary.pooling == "attention":
            w = self.constant("attention_w", self.summary.weights["attention.w"], "attention: w")
            self.multiply_adds += D
            self.exponentials += 1
            greatest = self.keep("greatest_score", 0)
            weight = f"attention_weight({total}, &{greatest}, dot({h}, {w}, {D}))"
        self.add("", f"mean_pool({pooled}, {total}, {h}, {weight}, {D});")
        return pooled

    # -- the head ---------------------------------------------------------------------------------

    @property
    def wide_output(self) -> bool:
        """Whether outputs are double, because float would lose their digits."""
        summary = self.summary
        return summary.mean is not None and self.is_wide(summary.mean, summary.scale)

    def is_wide(self, mean: Any, scale: Any) -> bool:
        """Return whether float loses digits of numbers of such means and scales."""
        limits = np.finfo(np.float32)
        outside = np.any((scale < limits.tiny) | (scale > limits.max) | (abs(mean) > limits.max))
        return bool(self.real == "float" and (outside or np.any(abs(mean) > _FAR * scale)))

    def _head(self, features: str) -> None:
        """Add the output layer."""
        summary = self.summary
        k = summary.n_outputs
        y = self.local("y", k) if self.wide_output else "output"
        self.add("")
        if summary.head == "adaptive":
            self._adaptive(features)
        elif summary.head == "tied":
            self._tied(features)
        else:
            features = self._hidden_of_head(features)
            self.add(f"/* head: {y} = b + h W */")
            self.linear(y, features, "head")
        if summary.task == "numbers":
            self._numbers(y)
        elif summary.task == "labels":
            self.exponentials += k
            self.add(f"sigmoid_layer(output, {k}, output);")
        elif summary.head != "adaptive":
            self.exponentials += k
            self.add(f"softmax(output, {k});")

    def _hidden_of_head(self, features: str) -> str:
        """Add the hidden layers of the head; return the name of the last one's h."""
        function = f"{self.summary.head_activation}_layer"
        for number, units in enumerate(self.summary.head_units):
            name = f"head{number}"
            self.exponentials += units * count_exponentials(function)
            self.add(f"/* {name}: a = b + h W */")
            self.linear("a", features, name)
            features = self.local(f"{name}_h", units)
            self.add(f"{function}(a, {units}, {features});", "")
        return features

    def _numbers(self, y: str) -> None:
        """Bring standardised outputs to the units of y."""
        k = self.summary.n_outputs
        q = len(self.summary.quantiles or ())
        if q == k:
            self.add(f"sort({y}, {k});")
        elif q:
            self.add(f"for (int k = 0; k < {k}; k += {q}) {{", f"    sort({y} + k, {q});", "}")
        kind = np.dtype("float64") if self.wide_output else self.dtype
        units: dict[str, Any] = {"y_mean": self.summary.mean, "y_scale": self.summary.scale}
        for name, values in units.items():
            self.constant(name, np.repeat(values, k // len(values)), f"{name} ({k},)", kind)
        self.add(
            f"for (int k = 0; k < {k}; k++) {{",
            f"    output[k] = {y}[k] * y_scale[k] + y_mean[k];",
            "}",
        )

    def _tied(self, features: str) -> None:
        """Add the output layer whose matrix is the embedding's."""
        V, D = self.summary.weights["embedding.W"].shape
        self.multiply_adds += V * D
        self.constant("head_b", self.summary.weights["head.b"], f"head: b ({V},)")
        product = f"dot({features}, embedding_W[k], {D})"
        if self.quantize:
            product = f"embedding_W_scale[k] * dot_8bit({features}, embedding_W[k], {D})"
        self.add(
            "/* head: the products with the vectors of the tokens */",
            f"for (int k = 0; k < {V}; k++) {{",
            f"    output[k] = head_b[k] + {product};",
            "}",
        )

    def _adaptive(self, features: str) -> None:
        """Add the adaptive softmax: of frequent tokens and clusters, then of each cluster."""
        weights = self.summary.weights
        n_clusters = sum(name.endswith(".down.W") for name in weights)
        first = len(weights["head.b"])
        self.exponentials += first
        clusters = self.local("clusters", n_clusters)
        self.add(
            "/* head: the probabilities of the frequent tokens, and of the clusters of others */"
        )
        self.linear("output", features, "head")
        self.add(
            f"softmax(output, {first});",
            f"copy({clusters}, output + {first - n_clusters}, {n_clusters});",
        )
        start = first - n_clusters
        low = self.local("low", max(weights[f"tail{i}.down.b"].size for i in range(n_clusters)))
        for i in range(n_clusters):
            size = weights[f"tail{i}.b"].size
            part = f"output + {start}"
            self.exponentials += size
            self.add("", f"/* cluster {i}: the probability of each of its tokens */")
            self.linear(low, features, f"tail{i}.down")
            self.linear(part, low, f"tail{i}")
            self.add(f"softmax({part}, {size});", f"multiply({part}, {clusters}[{i}], {size});")
            start += size
