"""Checks that nothing has changed which must stay as it is while training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..data.base_targets import Targets


def refuse_change(name: str, before: Any, now: Any) -> None:
    """Raise a ValueError if an argument that decides what the parameters mean has changed."""
    if now != before:
        raise ValueError(
            f"{name} must stay {before!r} while training goes on, got "
            f"{now!r}. Fit a new estimator, or with warm_start=False."
        )


def refuse_other_form(form: Any, arguments: Mapping[str, Any]) -> None:
    """Raise a ValueError if checked arguments want X read in another way than its form says."""
    if arguments["patch"] != "auto":
        refuse_change("patch", form.patch, arguments["patch"])
    refuse_change("missing", form.missing, arguments["missing"])


def check_same_classes(old: Targets, new: Targets) -> None:
    """Refuse to continue with other labels."""
    before = getattr(old, "classes_", ())
    now = getattr(new, "classes_", ())
    if type(old) is not type(new) or not np.array_equal(before, now):
        raise ValueError(
            "warm_start can only be used where y has the same classes as in the previous call to "
            f"fit. Previously got {before}, y has {now}. Fit with warm_start=False."
        )
