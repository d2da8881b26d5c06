"""How an estimator declares its constructor arguments: each with default, domain and description.

A declaration is a dataclass field. `declared` collects those of a class, and `checked` checks
values by them; `documentation.py` writes them into the docstring of the class.
"""

import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cache, partial
from typing import Any, NamedTuple

from .. import cpu
from ..utils import checks
from ..utils.checks import shown

Check = Callable[[str, Any], Any]

# Far more threads than any machine has: a larger number is a mistake, not a wish.
_MOST_THREADS = 1024


class Domain(NamedTuple):
    """The values that an argument may have.

    Attributes
    ----------
    description : str
        How the documentation writes them.
    check : callable
        (argument's name, value) -> plain value, or an error.
    """

    description: str
    check: Check


def argument(default: Any, domain: Domain | None = None, description: str = "") -> Any:
    """Declare a constructor argument.

    A class that declares an argument of its base class again gives only what is different.

    Parameters
    ----------
    default : object
        Its default.
    domain : Domain, optional
        The values that it may have; by default those of the base class.
    description : str, optional
        Its documentation, indented by 8 columns from the second line on; by default that of the
        base class.

    Returns
    -------
    dataclasses.Field
        To be assigned to the annotated name in the body of a dataclass.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Base:
    ...     size: int = argument(3, COUNT, "Number of parts.")
    >>> @dataclass
    ... class Derived(Base):
    ...     size: int = argument(5)
    >>> Derived()
    Derived(size=5)
    >>> declared(Derived)["size"]["description"]
    'Number of parts.'
    """
    metadata = {"default": default}
    # None and "" stand for what the base class declares.
    if domain:
        metadata["domain"] = domain
    if description:
        metadata["description"] = description
    return field(default=default, metadata=metadata)


@cache  # every fit asks for them, and `partial_fit` may be called for each sequence
def declared(kind: type) -> dict[str, dict[str, Any]]:
    """Return default, domain and description of each argument, in the signature's order."""
    found: dict[str, dict[str, Any]] = {}
    # From the most general class to the most special one, so that later declarations win. This
    # is the order in which dataclasses put the signature together.
    for base in reversed(kind.__mro__):
        for declaration in vars(base).get("__dataclass_fields__", {}).values():
            # Fields that a user's own dataclass adds are not checked here.
            if declaration.metadata:
                inherited = found.get(declaration.name, {})
                found[declaration.name] = inherited | dict(declaration.metadata)
    return found


def checked(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of declared arguments as plain Python values; nothing later checks them again.

    Parameters
    ----------
    kind : type
        The class that declares them.
    values : mapping of str to object
        Some or all of its arguments.

    Raises
    ------
    TypeError
        If a value is of the wrong kind.
    ValueError
        If it is out of its range.
    """
    declarations = declared(kind)
    return {name: declarations[name]["domain"].check(name, value) for name, value in values.items()}


# -- domains --------------------------------------------------------------------------------------


def one_of(*options: str) -> Domain:
    """Return the domain of a few words."""
    listed = ", ".join(f'"{option}"' for option in options)
    return Domain(f"{{{listed}}}", partial(checks.choice, options=options))


def optional(domain: Domain) -> Domain:
    """Return a domain with None."""
    return Domain(
        f"{domain.description} or None",
        lambda name, value: None if value is None else domain.check(name, value),
    )


FLAG = Domain("bool", checks.flag)
AUTO = "auto"


def or_auto(domain: Domain) -> Domain:
    """Return a domain with the word "auto"."""

    def check(name: str, value: Any) -> Any:
        if isinstance(value, str) and value == AUTO:
            return AUTO
        try:
            return domain.check(name, value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{error} Or write {name}='auto'.") from None

    return Domain(f'{domain.description} or "auto"', check)


COUNT = Domain("int >= 1", partial(checks.integer, low=1))


def _count_or_inf(name: str, value: Any) -> float:
    """Check a count, which has no limit."""
    if isinstance(value, numbers.Real) and value == math.inf:
        return math.inf
    return checks.integer(name, value, 1)


COUNT_OR_INF = Domain("int >= 1, or inf", _count_or_inf)
NOT_NEGATIVE = Domain("float >= 0", partial(checks.real, low=0))
POSITIVE = Domain("float > 0", partial(checks.real, low=0, low_open=True))
FRACTION = Domain("float in [0, 1)", partial(checks.real, low=0, high=1, high_open=True))
POSITIVE_FRACTION = Domain(
    "float in (0, 1)", partial(checks.real, low=0, high=1, low_open=True, high_open=True)
)


def _sizes(name: str, value: Any, least: int = 1) -> tuple[int, ...]:
    """Return the units of at least so many layers; one may be given as a plain integer."""
    if isinstance(value, numbers.Integral):
        value = (value,)
    remedy = "Write (64,) for one layer of 64 units."
    # These can be iterated over, but their items are not sizes in an order.
    if isinstance(value, str | bytes | dict | set) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name} must be a tuple of integers, got {shown(value)}. {remedy}")
    sizes = tuple(checks.integer(f"{name}[{index}]", size, 1) for index, size in enumerate(value))
    if len(sizes) < least:
        raise ValueError(f"{name} must have at least one layer, got {shown(value)}. {remedy}")
    return sizes


SIZES = Domain("tuple of int >= 1, or int", _sizes)
SIZES_OR_NONE = Domain("tuple of int >= 1, or int", partial(_sizes, least=0))


def _forget_bias(name: str, value: Any) -> str | float:
    """Return a number, or a word for biases by the length of the sequences."""
    if isinstance(value, str):
        word: str = checks.choice(name, value, ("auto", "chrono"), "Or give a number.")
        return word
    return checks.real(name, value, -_LARGEST_BIAS, _LARGEST_BIAS)


_LARGEST_BIAS = 100  # beyond the size at which a gate is open or closed for good
FORGET_BIAS = Domain('{"auto", "chrono"} or float', _forget_bias)


def _schedule(name: str, value: Any) -> str:
    """Return the name of a schedule; other libraries give the step size under this argument."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    remedy = [f"Write learning_rate_init={shown(value)}."] if is_number else []
    return checks.choice(name, value, ("constant", "cosine", "adaptive"), *remedy)


SCHEDULE = Domain('{"constant", "cosine", "adaptive"}', _schedule)


def _n_jobs(name: str, value: Any) -> int | None:
    """Return the number of threads, not 0."""
    if value is None:
        return None
    number = checks.integer(name, value, -_MOST_THREADS, _MOST_THREADS)
    if number == 0:
        raise ValueError(
            f"{name} must be None or an integer other than 0, got 0. "
            "Use 1 for one thread, -1 for all CPUs."
        )
    return number


N_JOBS = Domain("int or None", _n_jobs)


def _random_state(name: str, value: Any) -> Any:
    """Return the argument itself: a seed is drawn once everything else is known to be right."""
    # RandomState and Generator have a method `bytes`. To turn them into a generator here would
    # advance a RandomState even if another argument is refused.
    if isinstance(value, numbers.Integral) or not hasattr(value, "bytes"):
        checks.random_generator(value)
    return value


RANDOM_STATE = Domain("int, RandomState, Generator or None", _random_state)


def _verbose(name: str, value: Any) -> int:
    """Return the level; True counts as 1."""
    return checks.integer(name, int(value) if isinstance(value, bool) else value, 0)


VERBOSE = Domain("int >= 0, or bool", _verbose)


def _callbacks(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    """Return the functions as a tuple."""
    if value is None:
        return ()
    callbacks = (value,) if callable(value) else value
    if not isinstance(callbacks, Sequence) or not all(callable(item) for item in callbacks):
        raise TypeError(
            f"{name} must be None, a function or a list of functions, got {shown(value)}. "
            "Each takes one record."
        )
    return tuple(callbacks)


CALLBACKS = Domain("callable, list of callables or None", _callbacks)


def _class_weight(name: str, value: Any) -> Any:
    """Return the argument itself: its labels are compared with y's later."""
    if isinstance(value, dict):
        return value
    return checks.choice(name, value, ("balanced", None), "Or give a dict, {label: weight}.")


CLASS_WEIGHT = Domain('dict, "balanced" or None', _class_weight)


OWN_SCORES = ("loss", "score")


def _scoring(name: str, value: Any) -> Any:
    """Return the argument itself; scikit-learn is imported only if one of its scorers is named."""
    if callable(value):
        return value
    wanted = f"{name} must be 'loss', 'score', a function or the name of a scikit-learn scorer"
    if not isinstance(value, str):
        raise TypeError(f"{wanted}, got {shown(value)}. Write for example {name}='loss'.")
    if value in OWN_SCORES:
        return value
    try:
        scorers = cpu.once.imported("sklearn.metrics").get_scorer_names()
    except ImportError as error:
        raise ValueError(
            f"{wanted}, which is not installed, got {value!r}. Run: pip install scikit-learn"
        ) from error
    if value not in scorers:
        raise ValueError(
            f"{wanted}, got {shown(value)}. sklearn.metrics.get_scorer_names() lists them."
        )
    return value


SCORING = Domain('{"loss", "score"}, str or callable', _scoring)
