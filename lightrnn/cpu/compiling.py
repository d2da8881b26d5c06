"""How long kernels have been compiled in this process, and a clock that leaves that out."""

from time import perf_counter


class Stopwatch:
    """Sums up the seconds in which anything is compiled, by whichever thread."""

    def __init__(self) -> None:
        self._depth = 0  # functions that kernels call are compiled while the kernels are
        self._began = 0.0
        self._before = 0.0

    def start(self) -> None:
        """Note that something is compiled from now on."""
        if not self._depth:
            self._began = perf_counter()
        self._depth += 1

    def stop(self) -> None:
        """Note that it is ready, or has failed."""
        self._depth -= 1
        if not self._depth:
            self._before += perf_counter() - self._began

    def seconds(self) -> float:
        """Return the seconds so far."""
        return self._before + (perf_counter() - self._began if self._depth else 0.0)


STOPWATCH = Stopwatch()
seconds = STOPWATCH.seconds


def clock() -> float:
    """Return the seconds since some moment, without those in which kernels were compiled."""
    return perf_counter() - seconds()
