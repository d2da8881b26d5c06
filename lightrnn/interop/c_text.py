"""Pieces of C: arrays of constants, comments, and the helper functions of the exported files.

Code is written in terms of `float`; `in_double` turns it into the same code in double.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np

WIDTH = 100  # columns of the files
INDENT = "    "
_LARGEST_8BIT = 127

# The helper functions in the order of the file, of which each stands in it if it is called.
HELPERS = {
    "fill": """
/* Set all values to one. */
static void fill(float *values, float value, int count)
{
    for (int k = 0; k < count; k++) {
        values[k] = value;
    }
}""",
    "copy": """
/* Copy values. */
static void copy(float *to, const float *from, int count)
{
    for (int k = 0; k < count; k++) {
        to[k] = from[k];
    }
}""",
    "multiply": """
/* Multiply all values by a factor. */
static void multiply(float *values, float factor, int count)
{
    for (int k = 0; k < count; k++) {
        values[k] *= factor;
    }
}""",
    "add_product": """
/* y += x W, where x is (rows,), W (rows, columns), one row after another, and y (columns,). */
static void add_product(float *y, const float *x, const float *W, int rows, int columns)
{
    for (int i = 0; i < rows; i++) {
        const float value = x[i];
        for (int j = 0; j < columns; j++) {
            y[j] += value * W[j];
        }
        W += columns;
    }
}""",
    "add_product_8bit": """
/* y += x W, where x is (rows,), W (rows, columns) and y (columns,); row i of W is scale[i] * q. */
static void add_product_8bit(float *y, const float *x, const signed char *q, const float *scale,
                             int rows, int columns)
{
    for (int i = 0; i < rows; i++) {
        const float value = x[i] * scale[i];
        for (int j = 0; j < columns; j++) {
            y[j] += value * (float)q[j];
        }
        q += columns;
    }
}""",
    "dot": """
/* Return the sum of the products of x and y, both (count,). */
static float dot(const float *x, const float *y, int count)
{
    float sum = 0.0f;
    for (int k = 0; k < count; k++) {
        sum += x[k] * y[k];
    }
    return sum;
}""",
    "dot_8bit": """
/* Return the sum of the products of x and 8-bit numbers q, both (count,). */
static float dot_8bit(const float *x, const signed char *q, int count)
{
    float sum = 0.0f;
    for (int k = 0; k < count; k++) {
        sum += x[k] * (float)q[k];
    }
    return sum;
}""",
    "sigmoid": """
/* Squash a number into (0, 1). A gate near 1 is rounded less than by 1 / (1 + exp(-a)). */
static float sigmoid(float a)
{
    const float e = expf(a > 80.0f ? 80.0f : a);
    return e / (e + 1.0f);
}""",
    "normal_cdf": """
/* Return the share of a normal distribution that is below x. */
static float normal_cdf(float x)
{
    return 0.5f * erfcf(-0.70710678118654752f * x);
}""",
    "softmax": """
/* Turn y (count,) into probabilities, exp(y) / sum(exp(y)). */
static void softmax(float *y, int count)
{
    float greatest = y[0];
    float sum = 0.0f;
    for (int k = 1; k < count; k++) {
        greatest = y[k] > greatest ? y[k] : greatest;
    }
    for (int k = 0; k < count; k++) {
        y[k] = expf(y[k] - greatest);  /* the shift cancels out, but exp cannot overflow */
        sum += y[k];
    }
    for (int k = 0; k < count; k++) {
        y[k] /= sum;
    }
}""",
    "sort": """
/* Sort y (count,), least first. */
static void sort(float *y, int count)
{
    for (int k = 1; k < count; k++) {
        const float value = y[k];
        int place = k;
        while (place > 0 && y[place - 1] > value) {
            y[place] = y[place - 1];
            place--;
        }
        y[place] = value;
    }
}""",
    "max_pool": """
/* Keep the greatest value of each state h (units,) so far; begun is 0 before the first step. */
static void max_pool(float *pooled, float *begun, const float *h, int units)
{
    for (int k = 0; k < units; k++) {
        if (*begun <= 0.0f || h[k] > pooled[k]) {
            pooled[k] = h[k];
        }
    }
    *begun = 1.0f;
}""",
    "mean_pool": """
/* Take a state h (units,) into the mean of those so far; total is the sum of their weights. */
static void mean_pool(float *pooled, float *total, const float *h, float weight, int units)
{
    *total += weight;
    const float share = weight / *total;
    for (int k = 0; k < units; k++) {
        pooled[k] += share * (h[k] - pooled[k]);
    }
}""",
    "attention_weight": """
/* Return exp(score), relative to that of the greatest score so far; so is the total from now on. */
static float attention_weight(float *total, float *greatest, float score)
{
    if (*total > 0.0f && score <= *greatest) {
        return expf(score - *greatest);
    }
    if (*total > 0.0f) {
        *total *= expf(*greatest - score);
    }
    *greatest = score;
    return 1.0f;
}""",
    # The formulas of `cells.py`: a holds the sums of a cell's slots, one slot after another.
    "ffnn": """
/* One step of ffnn cells: h = max(a, 0).
 *
 * a (units,) are the sums; h (units,) is set. */
static void ffnn(const float *a, int units, float *h)
{
    for (int k = 0; k < units; k++) {
        h[k] = a[k] <= 0.0f ? 0.0f : a[k];
    }
}""",
    "rnn": """
/* One step of rnn cells: h = tanh(a).
 *
 * a (units,) are the sums that feed h; the state h (units,) is replaced. */
static void rnn(const float *a, int units, float *h)
{
    for (int k = 0; k < units; k++) {
        h[k] = tanhf(a[k]);
    }
}""",
    "gru": """
/* One step of gru cells: h' = (1 - z) n + z h, n = tanh(a_n + r m), m the state's part of the
 * candidate.
 *
 * a (4 * units,) are the sums that feed n, r, z, m; the state h (units,) is replaced. */
static void gru(const float *a, int units, float *h)
{
    for (int k = 0; k < units; k++) {
        const float r = sigmoid(a[units + k]);  /* reset gate */
        const float z = sigmoid(a[2 * units + k]);  /* update gate */
        const float n = tanhf(a[k] + r * a[3 * units + k]);
        h[k] = n + z * (h[k] - n);
    }
}""",
    "lstm": """
/* One step of lstm cells: c' = f c + i g, h' = o tanh(c').
 *
 * a (4 * units,) are the sums that feed i, f, g, o; the state h and c (units,) are replaced. */
static void lstm(const float *a, int units, float *h, float *c)
{
    for (int k = 0; k < units; k++) {
        const float i = sigmoid(a[k]);  /* input gate */
        const float f = sigmoid(a[units + k]);  /* forget gate */
        const float g = tanhf(a[2 * units + k]);
        const float o = sigmoid(a[3 * units + k]);  /* output gate */
        const float new_c = f * c[k] + i * g;
        h[k] = o * tanhf(new_c);
        c[k] = new_c;
    }
}""",
    "relu_layer": """
/* h = max(a, 0), for sums a (units,). */
static void relu_layer(const float *a, int units, float *h)
{
    for (int k = 0; k < units; k++) {
        h[k] = a[k] <= 0.0f ? 0.0f : a[k];
    }
}""",
    "tanh_layer": """
/* h = tanh(a), for sums a (units,). */
static void tanh_layer(const float *a, int units, float *h)
{
    for (int k = 0; k < units; k++) {
        h[k] = tanhf(a[k]);
    }
}""",
    "sigmoid_layer": """
/* h = 1 / (1 + exp(-a)), for sums a (units,). */
static void sigmoid_layer(const float *a, int units, float *h)
{
    for (int k = 0; k < units; k++) {
        h[k] = sigmoid(a[k]);
    }
}""",
    "gelu_layer": """
/* h = a times the share of a normal distribution below a, for sums a (units,). */
static void gelu_layer(const float *a, int units, float *h)
{
    for (int k = 0; k < units; k++) {
        h[k] = a[k] * normal_cdf(a[k]);
    }
}""",
}


def helpers(code: str) -> list[str]:
    """Return the helper functions that some code calls, and those that they call."""
    found: list[str] = []
    for name, text in reversed(HELPERS.items()):  # each calls only those before it
        if re.search(rf"\b{name}\(", "".join([code, *found])):
            found.insert(0, text.strip("\n"))
    return found


def count_exponentials(name: str) -> int:
    """Return how many exponential functions a step of one unit of a cell or layer computes.

    Examples
    --------
    >>> count_exponentials("lstm"), count_exponentials("ffnn")
    (5, 0)
    """
    return len(re.findall(r"\b(?:tanhf|sigmoid|normal_cdf)\(", HELPERS[name]))


def in_double(code: str) -> str:
    """Return code in double instead of float.

    Examples
    --------
    >>> in_double("const float y = 2.0f * expf(x);")
    'const double y = 2.0 * exp(x);'
    """
    code = re.sub(r"\b(exp|tanh|erfc)f\b", r"\1", re.sub(r"\bfloat\b", "double", code))
    return re.sub(r"(\d\.\d+)f\b", r"\1", code)


def array(name: str, values: np.ndarray, comment: str, *, rows: bool = False) -> str:
    """Return an array of constants, of float, double or 8-bit integers by its dtype.

    Parameters
    ----------
    name : str
        The C name.
    values : ndarray (n,) or (m, n)
        The values; each row begins a line.
    comment : str
        What they are.
    rows : bool, default=False
        Whether it is an array of rows in C as well, rather than one row after another.
    """
    kind = {"f4": "float", "f8": "double", "i1": "signed char"}[values.dtype.str[1:]]
    size = "][".join(map(str, values.shape)) if rows else values.size
    inner = [_row(row, rows) for row in np.atleast_2d(values)]
    opening = f"/* {comment} */\n" if comment else ""
    return f"{opening}static const {kind} {name}[{size}] = {{\n" + "\n".join(inner) + "\n};"


def _row(values: np.ndarray, braces: bool) -> str:
    """Return the lines of a row of numbers."""
    if values.dtype.kind == "f":
        # Compilers warn of denormal numbers, which are nothing among weights.
        values = np.where(abs(values) < np.finfo(values.dtype).tiny, 0, values)
    suffix = "f" if values.dtype == np.float32 else ""
    texts = [f"{text}{suffix}," for text in values.astype(str).tolist()]
    per_line = (WIDTH - len(INDENT)) // (1 + max(map(len, texts)))
    starts = range(0, len(texts), max(1, per_line))
    lines = [INDENT + " ".join(texts[start : start + per_line]) for start in starts]
    return f"{INDENT}{{\n" + "\n".join(lines) + f"\n{INDENT}}}," if braces else "\n".join(lines)


def comment(paragraphs: Iterable[str]) -> str:
    """Return paragraphs as one comment; those with line breaks are kept as they are."""
    lines: list[str] = []
    for text in paragraphs:
        lines += ["", *(text.split("\n") if "\n" in text else textwrap.wrap(text, WIDTH - 3))]
    return "/* " + "\n".join(lines[1:]).replace("\n", "\n * ").replace(" * \n", " *\n") + " */"


def named(values: Iterable[Any]) -> str:
    r"""Return numbered names for a comment, one a line.

    Examples
    --------
    >>> print(named(["up", "*/"]))
        0  "up"
        1  "*\x2f"
    """
    return "\n".join(f"{INDENT}{i}  {_quoted(value)}" for i, value in enumerate(values))


def _quoted(value: Any) -> str:
    """Return a label or a token as C has it, without whatever would end or open a comment."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    text = ascii(str(value))[1:-1].replace('"', '\\"').replace("\\'", "'")
    text = text.replace("*/", "*\\x2f").replace("/*", "\\x2f*").replace("??", "?\\x3f")
    return f'"{text}"' if isinstance(value, str) else text


def quantized(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a matrix as integers from -127 to 127, and the scale of each row.

    Examples
    --------
    >>> scale, integers = quantized(np.array([[1.0, -2.0, 0.5], [0.0, 0.0, 0.0]]))
    >>> integers.tolist(), (scale * 127).tolist()
    ([[64, -127, 32], [0, 0, 0]], [2.0, 0.0])
    """
    scale = abs(W).max(axis=1) / W.dtype.type(_LARGEST_8BIT)
    scale[scale < np.finfo(W.dtype).tiny] = 0
    divisor = np.where(scale > 0, scale, 1)[:, None]
    integers = np.rint(W / divisor) * (scale > 0)[:, None]
    return scale, integers.astype(np.int8)
