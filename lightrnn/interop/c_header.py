"""The header of an exported C program: its manual, its constants and its declarations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .c_program import Program
from .c_text import comment, named
from .summary import Summary, described


def header(program: Program, feature_names: Sequence[str] | None, error: float | None) -> str:
    """Return the text of the header.

    Parameters
    ----------
    program : Program
        The program.
    feature_names : sequence of str or None
        Names of the features of a step.
    error : float or None
        How far 8 bits change the outputs; None if they are not used.
    """
    guard = f"{program.macro}_H"
    reset, step, predict = program.declarations
    parts = [
        comment(_manual(program, feature_names, error)),
        f"#ifndef {guard}\n#define {guard}",
        '#ifdef __cplusplus\nextern "C" {\n#endif',
        "\n".join(f"#define {name} {value}" for name, value in _constants(program)),
        _state(program),
        f"/* Begin a sequence. */\n{reset};",
        f"{comment([_of_step(program)])}\n{step};",
        f"{comment([_of_predict(program)])}\n{predict};",
        "#ifdef __cplusplus\n}\n#endif",
        f"#endif /* {guard} */",
    ]
    return program.typed("\n\n".join(parts) + "\n")


def _constants(program: Program) -> Iterator[tuple[str, int]]:
    """Yield the names and values of the sizes that users need."""
    summary = program.summary
    if summary.vocabulary is not None:
        yield f"{program.macro}_TOKENS", len(summary.vocabulary.tokens)
    else:
        yield f"{program.macro}_FEATURES", summary.step_features
    yield f"{program.macro}_OUTPUTS", summary.n_outputs
    if summary.patch > 1:
        yield f"{program.macro}_PATCH", summary.patch


def _state(program: Program) -> str:
    """Return the declaration of the state."""
    # The largest first, so that no room is left between them.
    parts = sorted(program.state, key=lambda part: part.kind != "double")
    lines = [f"    {part.declaration}" for part in parts]
    return "\n".join(
        ["/* The memory of one stream. */", "typedef struct {", *lines, f"}} {program.name}_state;"]
    )


# -- the manual -----------------------------------------------------------------------------------


def _manual(
    program: Program, feature_names: Sequence[str] | None, error: float | None
) -> Iterator[str]:
    """Yield the paragraphs of the first comment."""
    summary = program.summary
    name = program.name
    yield (
        f"{name}.h and {name}.c: an {summary.estimator} that was trained with lightrnn, in C99 "
        "with nothing but <math.h>."
    )
    yield described(summary)
    yield _sizes(program)
    if error is not None:
        yield f"Each row of a matrix is stored in 8 bits and a scale. {effect(summary, error)}"
    yield _usage(program)
    yield _inputs(summary)
    if summary.vocabulary is not None:
        yield named(summary.vocabulary.tokens)
    elif feature_names is not None:
        yield named(feature_names)
    yield _outputs(summary)
    if summary.classes is not None:
        yield named(summary.classes)


def _sizes(program: Program) -> str:
    """Return how much memory and time the program takes."""
    often = "step" if program.summary.patch == 1 else f"patch of {program.summary.patch} steps"
    return (
        f"    flash  {program.flash:,} bytes of constants, and the code\n"
        f"    RAM    {program.state_bytes:,} bytes for each {program.name}_state, and "
        f"{program.scratch_bytes:,} bytes of stack during a step\n"
        f"    time   {program.multiply_adds:,} multiply-adds and {program.exponentials:,} "
        f"exponential functions a {often}"
    )


_USAGE = """\
    static {name}_state state;
    {x};
    {kind} output[{macro}_OUTPUTS];

    {name}_reset(&state);
    for (...) {{
        if ({name}_step(&state, {argument}, output)) {{
            ... output is the answer for all steps so far
        }}
    }}"""


def _usage(program: Program) -> str:
    """Return an example of a stream."""
    macro = program.macro
    x = "int token" if program.tokens else f"{program.x_kind} x[{macro}_FEATURES]"
    kind = program.y_kind
    return _USAGE.format(name=program.name, macro=macro, x=x, kind=kind, argument=program.x)


def _inputs(summary: Summary) -> str:
    """Return a paragraph on the input of a step."""
    if summary.vocabulary is not None:
        kind = {"char": "character", "word": "word or punctuation mark"}
        token = kind.get(summary.vocabulary.kind, "category")
        return f"A token is the number of a {token}, 0 if it is not in this list:"
    F = summary.step_features
    missing = "; NaN is a missing value" if summary.fill is not None else ", all of them finite"
    return f"A step x is {F} {'number' if F == 1 else 'numbers'} as in the data of fit{missing}."


def _outputs(summary: Summary) -> str:
    """Return a paragraph on the output."""
    k = summary.n_outputs
    if summary.task == "language":
        return "The output is the probability of each token to be the next one."
    if summary.task == "classes":
        return "The output is the probability of each class:"
    if summary.task == "labels":
        return f"The output is the probability of each of {k} labels."
    what = "the prediction"
    if summary.quantiles:
        q = len(summary.quantiles)
        what = f"{q} quantiles, least first,"
        what += f" of each of {k // q} columns of y, one column after the other," * (q < k)
    return f"The output is {what} in the units of y."


def _of_step(program: Program) -> str:
    """Return a comment on the function that takes a step."""
    answers = "Returns 1."
    if program.summary.patch > 1:
        answers = (
            f"Returns 1 after each whole patch of {program.macro}_PATCH steps, and 0 in between, "
            "where the output is not written."
        )
    return (
        "Take a step and write the answer for all steps so far; if output is 0 (NULL) none is "
        f"computed, which saves its time. {answers}"
    )


def _of_predict(program: Program) -> str:
    """Return a comment on the function that reads a whole sequence."""
    summary = program.summary
    if summary.task == "language":
        return "Read a whole text of any number of tokens and write the answer after it."
    k = f"{program.macro}_OUTPUTS"
    if summary.step:
        return f"Read a whole sequence and write the answers for all steps, (steps, {k})."
    last = "The last patch is filled up with the last step. " if summary.patch > 1 else ""
    return f"Read a whole sequence of one step or more and write its answer. {last}".rstrip()


def effect(summary: Summary, error: float) -> str:
    """Return a sentence on how far 8 bits change the outputs."""
    outputs = "predictions, in deviations of y," if summary.task == "numbers" else "probabilities"
    return f"On random sequences that changes the {outputs} by {error:.2g} at most."
