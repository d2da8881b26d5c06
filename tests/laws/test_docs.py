"""The public docstrings are complete: parameters, defaults, returns, references and examples."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator

import pytest

from lightrnn.estimators.streams import Stream

MODULES = (
    "lightrnn",
    "lightrnn.inspection",
    "lightrnn.plotting",
    "lightrnn.preprocessing",
    "lightrnn.datasets",
    "lightrnn.metrics",
    "lightrnn.exceptions",
    "lightrnn.training",
    "lightrnn.comparison",
    "lightrnn.distributed",
)
SECTIONS = re.compile(r"^([A-Z][A-Za-z ]+)\n-{3,}\n", re.MULTILINE)
ENTRY = re.compile(r"^(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: :(?P<kind>.*))?$")
DEFAULT = re.compile(r", default=(.+)$")
UNNAMED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


# -- what is public --------------------------------------------------------------------------------


def public_objects() -> dict[str, object]:
    """Return the public functions, classes and methods of the package by dotted name."""
    found: dict[str, object] = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        names = getattr(module, "__all__", None) or defined_in(module)
        found |= {f"{module_name}.{name}": getattr(module, name) for name in names}
    found["lightrnn.Stream"] = Stream  # what `estimator.stream()` returns
    found = {name: thing for name, thing in found.items() if callable(thing)}
    for name, thing in list(found.items()):
        if inspect.isclass(thing):
            found |= {f"{name}.{method}": member for method, member in public_methods(thing)}
    return unique(found)


def defined_in(module: object) -> list[str]:
    """Return the public names that a module defines itself, rather than imports."""
    own = vars(module).items()
    name = module.__name__
    return [
        key for key, value in own if key[0] != "_" and getattr(value, "__module__", None) == name
    ]


def public_methods(kind: type) -> Iterator[tuple[str, object]]:
    """Yield the methods and properties that a class has from this package, unbound."""
    for owner in kind.__mro__:
        if not owner.__module__.startswith("lightrnn"):
            continue
        for name, member in vars(owner).items():
            plain = getattr(member, "__func__", getattr(member, "fget", member))
            generated = name.startswith("set_") and name.endswith("_request")
            if not (name.startswith("_") or generated) and inspect.isfunction(plain):
                yield name, member


def unique(found: dict[str, object]) -> dict[str, object]:
    """Leave out what another name refers to as well, such as an inherited method."""
    first: dict[int, str] = {}
    for name, thing in found.items():
        first.setdefault(id(thing), name)
    return {name: found[name] for name in first.values()}


# -- reading a docstring ---------------------------------------------------------------------------


def sections(text: str) -> dict[str, str]:
    """Return the sections of a docstring in numpydoc's form by title."""
    _, *rest = SECTIONS.split(text)
    return dict(zip(rest[::2], rest[1::2], strict=True))


def entries(section: str) -> dict[str, str]:
    """Return the entries of a section, name by name, with the type that is given for each."""
    found = {}
    for line in section.splitlines():
        match = ENTRY.match(line)
        if match and (match["kind"] is not None or line == line.strip()):
            kind = (match["kind"] or "").strip()
            found |= {name.lstrip("*"): kind for name in match["names"].split(", ")}
    return found


def documented_default(kind: str) -> object:
    """Return the default that a type's description gives: a value, its text, or nothing."""
    match = DEFAULT.search(kind)
    if not match:
        return None if kind.endswith("optional") else inspect.Parameter.empty
    try:
        return ast.literal_eval(match[1])
    except (SyntaxError, ValueError):
        return match[1]


# -- faults ----------------------------------------------------------------------------------------


def faults(thing: object) -> Iterator[str]:
    """Yield the faults of an object's docstring, one sentence for each."""
    text = inspect.cleandoc(thing.__doc__ or "")
    if not text:
        yield "has no docstring"
        return
    if text.startswith("What "):
        yield 'begins with "What"'
    yield from citation_faults(text)
    parts = sections(text)
    if isinstance(thing, property):
        return
    yield from parameter_faults(thing, parts)
    is_method = isinstance(thing, classmethod) or "." in getattr(thing, "__qualname__", "")
    if not is_method and "Examples" not in parts:
        yield "has no Examples"
    if not inspect.isclass(thing) and returns_something(thing):
        if not parts.keys() & {"Returns", "Yields"}:
            yield "has no Returns"


def parameter_faults(thing: object, parts: dict[str, str]) -> Iterator[str]:
    """Yield how the signature and the sections Parameters and Attributes differ."""
    wanted = parameters(thing)
    documented = entries(parts.get("Parameters", ""))
    # A result that users read but never make lists its fields as attributes.
    fields = entries(parts.get("Attributes", "")) if inspect.isclass(thing) else {}
    for name, parameter in wanted.items():
        if name not in documented | fields:
            yield f"{name} is not documented"
        elif name in documented and parameter.kind not in UNNAMED:
            yield from default_faults(name, parameter.default, documented[name])
    for name in documented.keys() - wanted.keys():
        yield f"{name} is documented, but not in the signature"


def parameters(thing: object) -> dict[str, inspect.Parameter]:
    """Return the parameters of a function, method or class by name, without the receiver."""
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return {}
    plain = getattr(thing, "__func__", thing)
    found = dict(inspect.signature(plain).parameters)
    return {name: parameter for name, parameter in found.items() if name not in ("self", "cls")}


def default_faults(name: str, default: object, kind: str) -> Iterator[str]:
    """Yield a fault if the documented default is not that of the signature."""
    said = documented_default(kind)
    if default is inspect.Parameter.empty:
        if said is not inspect.Parameter.empty:
            yield f"{name} has no default, but one is documented"
    elif said is inspect.Parameter.empty:
        yield f"{name} lacks its default: `, default={default!r}`"
    elif said != default and said != repr(default):
        yield f"{name} has the default {default!r}, but {said!r} is documented"


def citation_faults(text: str) -> Iterator[str]:
    """Yield each reference that is cited but not defined, or defined but not cited."""
    cited = set(re.findall(r"\[(\d+)\]_", text))
    defined = set(re.findall(r"^\s*\.\. \[(\d+)\]", text, re.MULTILINE))
    yield from (f"[{number}] is cited, but not defined" for number in sorted(cited - defined))
    yield from (f"[{number}] is defined, but not cited" for number in sorted(defined - cited))


def returns_something(function: object) -> bool:
    """Return whether a function's annotation promises a result."""
    plain = getattr(function, "__func__", function)
    return inspect.signature(plain).return_annotation not in (None, "None")


# -- tests -----------------------------------------------------------------------------------------

OBJECTS = public_objects()


@pytest.mark.parametrize("name", OBJECTS)
def test_public_docstrings_are_complete(name: str) -> None:
    assert not list(faults(OBJECTS[name]))
