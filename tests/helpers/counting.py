"""The work of a function as a number of calls, which is the same on every machine."""

import sys


def calls(function, *args, refused=ValueError):
    """Return how many functions are called until `function` returns or refuses its arguments."""
    count = 0

    def profile(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        function(*args)
    except refused:
        pass
    finally:
        sys.setprofile(None)
    return count
