"""The display of ``verbose=1``: a tqdm bar where tqdm is installed, plain lines otherwise.

Both show the epoch, its loss, its mean gradient norm, the validation score if there is one,
sequences (or tokens) per second and the time left. Within a long epoch the line is updated every
second on a terminal, every half minute elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .history import Epoch, History

# Seconds between updates within an epoch: on a terminal, and where each is a new line of a log.
_TERMINAL = 1.0
_LOG = 30.0


@dataclass(eq=False, repr=False)
class Progress:
    """Shows one epoch after the other.

    Parameters
    ----------
    verbose : int
        0 shows nothing.
    epochs : int
        The most epochs that may come; the time left counts them all.
    count : int
        Sequences or tokens in an epoch.
    unit : str, default="sequences"
        The name of what is counted.
    """

    verbose: int
    epochs: int
    count: int
    unit: str = "sequences"

    _done = 0  # epochs that have ended
    _shown = 0.0  # epochs that the bar shows

    def __post_init__(self) -> None:
        """Begin the first epoch."""
        self._bar = None
        self._live = False
        if self.verbose:
            with self._survived():
                self._bar = _bar(self.epochs)
                self._live = sys.stdout.isatty()
        self._start = perf_counter()
        self._last = self._start  # the last update
        self._began = self._start  # the current epoch

    def advance(self, part: float, loss: float) -> None:
        """Show which part of an epoch is over, if the last update is old enough."""
        if not self.verbose:
            return
        now = perf_counter()
        patience = _TERMINAL if self._live or self._bar is not None else _LOG
        if part >= 1.0 or now - self._last < patience:
            return
        rate = part * self.count / (now - self._began)
        figures = f"loss {loss:.5g}  {rate:.0f} {self.unit}/s"
        self._show(part, figures, now, f"{part:>4.0%}  ", "\r")

    def update(self, record: Epoch) -> None:
        """Show an epoch that has just ended."""
        if not self.verbose:
            return
        figures = f"loss {record.loss:.5g}  gradient {record.gradient_norm:.3g}"
        if record.validation_score is not None:
            figures += f"  score {record.validation_score:.4f}"
        rate = self.count / max(record.seconds, 1e-9)
        self._show(1.0, f"{figures}  {rate:.0f} {self.unit}/s", perf_counter(), "", "\n")
        self._done += 1
        self._began = perf_counter()

    def close(self) -> None:
        """End the bar and leave its last state on the screen."""
        if self._bar is not None:
            with self._survived():
                self._bar.close()

    def report(self, history: History) -> None:
        """Say what ended training before its last epoch, and whose weights the network has."""
        if not self.verbose:
            return
        if history.stop_reason == "max_iter" and history.best_epoch == history.epochs:
            return
        line = (
            f"{history.epochs} epochs, ended by {history.stop_reason}; the weights are those of "
            f"epoch {history.best_epoch}"
        )
        with self._survived():
            if self._bar is None:
                print(line, flush=True)
            else:
                self._bar.write(line, file=self._bar.fp)

    @contextmanager
    def _survived(self) -> Iterator[None]:
        """Go on without a display where its stream is missing, closed or broken."""
        try:
            yield
        except (AttributeError, OSError, ValueError):
            self.verbose = 0
            self._bar = None

    def _show(
        self,
        part: float,
        figures: str,
        now: float,
        prefix: str,
        end: str,
    ) -> None:
        """Update the bar or print a line; on a terminal `end` lets the next line replace it."""
        self._last = now
        done = self._done + part
        with self._survived():
            if self._bar is not None:
                self._bar.set_postfix_str(figures, refresh=False)
                self._bar.update(done - self._shown)
                self._shown = done
                return
            left = timedelta(seconds=round((now - self._start) / done * (self.epochs - done)))
            line = f"epoch {self._done + 1}/{self.epochs}  {prefix}{figures}  {left} left"
            if self._live:
                print(f"{line:<79}", end=end, flush=True)  # blanks erase a longer line before
            else:
                print(line, flush=True)


def _bar(epochs: int) -> Any:
    """Return a tqdm bar, or None where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(
        total=epochs,
        bar_format="{l_bar}{bar}| {n:.3g}/{total_fmt} epochs [{elapsed}<{remaining}{postfix}]",
    )
