"""The C file of an exported model: its functions, from a step of the user's data to an answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from .c_network import NetworkWriter
from .c_text import INDENT, array, helpers, in_double, quantized
from .summary import Summary

_START = 1  # code of the token before the first one of a language model's text


class Program(NetworkWriter):
    """Writes the C file of a model.

    Parameters
    ----------
    summary : Summary
        The estimator, whose network has one direction.
    name : str
        Beginning of all public names.
    dtype : dtype
        float32 or float64: the type of all computation.
    quantize : bool
        Whether matrices have 8 bits.

    Attributes
    ----------
    name, macro : str
        Beginnings of the names of functions and of constants.
    x, x_kind : str
        Name and type of the input of a step; numbers are given by their address.
    y_kind : str
        Type of outputs.
    """

    def __init__(self, summary: Summary, name: str, dtype: np.dtype, quantize: bool) -> None:
        super().__init__(summary, dtype, quantize)
        self.name = name
        self.macro = name.upper()
        self.tokens = summary.vocabulary is not None
        self.x = "token" if self.tokens else "x"
        found = summary.standardization
        wide = found is not None and self.is_wide(found.mean, found.scale)
        self.x_kind = "int" if self.tokens else "double" if wide else self.real
        self.y_kind = "double" if self.wide_output else self.real
        self._language = summary.task == "language"
        self.write()
        self._network = self.lines
        self.lines = []
        self._read()

    # -- one step ---------------------------------------------------------------------------------

    def _read(self) -> None:
        """Add the statements that make a step the network's input, and call it."""
        if self.tokens:
            self._read_token()
            return
        summary = self.summary
        source = "x"
        C = summary.step_features
        if summary.fill is not None:
            source = self._marked(summary.fill)
            C *= 3
        target = source
        if summary.patch > 1:
            patch = self.keep("patch", summary.patch * C)
            steps = self.keep("patch_steps", 0, "int")
            self.add(f"{self.real} *input = {patch} + {steps} * {C};")
            target = "input"
        elif summary.standardization is not None:
            target = self.local("input", C)
        if summary.standardization is not None:
            self._standardized(target, source, C)
        elif target != source:
            self.add(f"copy({target}, {source}, {C});")
        if summary.patch > 1:
            self.add(
                f"{steps}++;",
                f"if ({steps} < {self.macro}_PATCH) {{",
                "    return 0;",
                "}",
                f"{steps} = 0;",
            )
            target = patch
        self.add(f"network(state, {target}, output);")

    def _read_token(self) -> None:
        """Add the look-up of a token's vector."""
        W = self.summary.weights["embedding.W"]
        E = W.shape[1]
        self.add(
            f"if (token < 0 || token >= {self.macro}_TOKENS) {{",
            "    token = 0;  /* the unknown token */",
            "}",
        )
        text = f"embedding: a row for each token {W.shape}"
        if not self.quantize:
            stored = W.astype(self.dtype)
            self.flash += stored.nbytes
            self.constants.insert(0, array("embedding_W", stored, text, rows=True))
            self.add("network(state, embedding_W[token], output);")
            return
        scale, integers = quantized(W.astype(self.dtype))
        self.flash += integers.nbytes
        self.constants.insert(0, array("embedding_W", integers, text, rows=True))
        self.constant("embedding_W_scale", scale, "scale of each row of embedding_W")
        self.local("input", E)
        self.add(
            f"for (int k = 0; k < {E}; k++) {{",
            "    input[k] = embedding_W_scale[token] * (float)embedding_W[token][k];",
            "}",
            "network(state, input, output);",
        )

    def _marked(self, fill: np.ndarray) -> str:
        """Add what is carried over missing values; return the columns that stand for a step."""
        F = len(fill)
        last = self.keep("last", F, self.x_kind)
        elapsed = self.keep("elapsed", F)
        columns = self.local("columns", 3 * F, self.x_kind)
        self.constant("x_before", fill, "values before the first ones", self._x_dtype)
        self.add(
            "/* a missing value is the last one again; how long ago that was is an input, too */",
            f"for (int k = 0; k < {F}; k++) {{",
            "    const int missing = x[k] != x[k];  /* so is only NaN */",
            f"    {elapsed}[k] = missing ? {elapsed}[k] + 1.0f : 0.0f;",
            "    if (!missing) {",
            f"        {last}[k] = x[k];",
            "    }",
            f"    columns[k] = {last}[k];",
            f"    columns[{F} + k] = missing ? 0.0f : 1.0f;",
            f"    columns[{2 * F} + k] = {elapsed}[k];",
            "}",
        )
        return columns

    @property
    def _x_dtype(self) -> np.dtype:
        return np.dtype("float64") if self.x_kind == "double" else self.dtype

    def _standardized(self, target: str, source: str, C: int) -> None:
        """Add the standardisation of the columns of a step."""
        standardization: Any = self.summary.standardization
        mean = standardization.mean.astype(self._x_dtype)
        self.constant("x_mean", mean, "mean of each column of a step", self._x_dtype)
        self.constant("x_scale", standardization.scale, "deviation of each", self._x_dtype)
        value = f"{source}[k] - x_mean[k]"
        if self.x_kind == "float":
            rest = standardization.mean - mean
            self.constant(
                "x_mean_rest", rest, "the digits that x_mean lacks: -ffast-math loses them"
            )
            value += " - x_mean_rest[k]"
        result = f"({value}) / x_scale[k]"
        cast = f"(float)({result})" if self.x_kind != self.real else result
        self.add(f"for (int k = 0; k < {C}; k++) {{", f"    {target}[k] = {cast};", "}")

    # -- the functions ----------------------------------------------------------------------------

    def _reset_lines(self) -> list[str]:
        """Return the statements that bring a state to the beginning."""
        lines = []
        for kind, name, size in self.state:
            if name == "last":
                lines += [
                    f"for (int k = 0; k < {size}; k++) {{",
                    "    state->last[k] = x_before[k];",
                    "}",
                ]
            elif size:
                lines.append(f"fill(state->{name}, 0.0f, {size});")
            else:
                lines.append(f"state->{name} = {'0' if kind == 'int' else '0.0f'};")
        return lines

    def _predict_lines(self) -> list[str]:
        """Return the statements that read a whole sequence."""
        name = self.name
        X = "tokens[t]" if self.tokens else "x"
        output = "output" if self.summary.step else "t == steps - 1 ? output : 0"
        lines = [f"{name}_reset(state);"]
        if self._language:
            # A language model answers before the first token already.
            lines = ["begin(state);", f"{name}_step(state, {_START}, steps > 0 ? 0 : output);"]
        lines += ["for (int t = 0; t < steps; t++) {", f"    {name}_step(state, {X}, {output});"]
        if not self.tokens:
            lines.append(f"    x += {self.macro}_FEATURES;")
        if self.summary.step:
            lines.append(f"    output += {self.macro}_OUTPUTS;")
        lines.append("}")
        if self.summary.patch > 1:
            size = self.summary.n_features
            C = size // self.summary.patch
            lines += [
                "/* what the last patch lacks is the last step again */",
                "if (state->patch_steps > 0) {",
                f"    for (int k = state->patch_steps * {C}; k < {size}; k++) {{",
                f"        state->patch[k] = state->patch[k - {C}];",
                "    }",
                "    state->patch_steps = 0;",
                "    network(state, state->patch, output);",
                "}",
            ]
        return lines

    @property
    def declarations(self) -> tuple[str, str, str]:
        """The declarations of the functions that reset, step and predict."""
        state = f"{self.name}_state *state"
        x = "int token" if self.tokens else f"const {self.x_kind} *x"
        xs = "const int *tokens" if self.tokens else x
        y = f"{self.y_kind} *output"
        return (
            f"void {self.name}_reset({state})",
            f"int {self.name}_step({state}, {x}, {y})",
            f"void {self.name}_predict({state}, {xs}, int steps, {y})",
        )

    def code(self, header: str) -> str:
        """Return the text of the file, which includes a header of this name."""
        state = f"{self.name}_state *state"
        of_step = [v.declaration for v in self.scratch if v.name in ("input", "columns")]
        of_network = [v.declaration for v in self.scratch if v.declaration not in of_step]
        reset, step, predict = self.declarations
        network = f"static void network({state}, const {self.real} *input, {self.y_kind} *output)"
        reset_lines = self._reset_lines()
        functions = [
            "/* One step of the network; without an output only the state changes. */\n"
            + _function(network, of_network, self._network),
        ]
        if self._language:
            functions += [_function(f"static void begin({state})", [], reset_lines)]
            reset_lines = ["begin(state);", f"{self.name}_step(state, {_START}, 0);"]
        functions += [
            _function(reset, [], reset_lines),
            _function(step, of_step, [*self.lines, "return 1;"]),
            _function(predict, [], self._predict_lines()),
        ]
        parts = [
            f"/* {self.name}.c: {header} says what it is and how it is used. */",
            f'#include "{header}"\n\n#include <math.h>',
            *helpers("\n".join(functions)),
            *self.constants,
            *functions,
        ]
        return self.typed("\n\n".join(parts) + "\n")

    def typed(self, code: str) -> str:
        """Return code in the program's precision."""
        return code if self.real == "float" else in_double(code)


def _function(declaration: str, variables: list[str], lines: list[str]) -> str:
    """Return a function; its variables stand at the beginning."""
    body = [*variables, *([""] if variables else []), *lines]
    return "\n".join([declaration, "{", *(f"{INDENT}{line}".rstrip() for line in body), "}"])
