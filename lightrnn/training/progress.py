"""What ``verbose=1`` shows while a network trains: a tqdm bar where tqdm is installed, plain lines otherwise.

Either way: the epoch, its loss, its mean gradient norm, the validation score if there is one, sequences (or tokens) per
second and the time left. Within a long epoch the line is brought up to date every second on a terminal, every half
minute elsewhere.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .history import Epoch

_TERMINAL, _ELSEWHERE = 1.0, 30.0  # seconds between lines within an epoch


class Progress:
    """Shows one epoch after the other.

    Parameters
    ----------
    verbose : int
        0 shows nothing.
    epochs : int
        The most epochs that may come; the time left counts them all.
    count, unit : int, str
        Things in an epoch, and what they are called.
    """

    def __init__(self, verbose: int, epochs: int, count: int, unit: str = "sequences") -> None:
        self.verbose, self.epochs, self.count, self.unit = verbose, epochs, count, unit
        self._bar = _bar(epochs) if verbose else None
        self._done, self._shown, self._live = 0, 0.0, sys.stdout.isatty()
        self._start = self._last = self._began = perf_counter()

    def advance(self, share: float, loss: float) -> None:
        """Show how far an epoch has come, if the last line is old enough."""
        if not self.verbose:
            return
        now = perf_counter()
        patience = _TERMINAL if self._live or self._bar is not None else _ELSEWHERE
        if share >= 1.0 or now - self._last < patience:
            return
        rate = share * self.count / (now - self._began)
        self._show(
            share, f"loss {loss:.5g}  {rate:.0f} {self.unit}/s", now, f"{share:>4.0%}  ", "\r"
        )

    def update(self, record: Epoch) -> None:
        """Show an epoch that has just ended."""
        if not self.verbose:
            return
        score = "" if record.validation_score is None else f"  score {record.validation_score:.4f}"
        rate = self.count / max(record.seconds, 1e-9)
        figures = f"loss {record.loss:.5g}  gradient {record.gradient_norm:.3g}{score}  {rate:.0f} {self.unit}/s"
        self._show(1.0, figures, perf_counter(), "", "\n")
        self._done += 1
        self._began = perf_counter()

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._bar is not None:
            self._bar.close()

    def _show(self, share: float, figures: str, now: float, part: str, end: str) -> None:
        self._last, done = now, self._done + share
        if self._bar is not None:
            self._bar.set_postfix_str(figures, refresh=False)
            self._bar.update(done - self._shown)
            self._shown = done
            return
        left = timedelta(seconds=round((now - self._start) / done * (self.epochs - done)))
        line = f"epoch {self._done + 1}/{self.epochs}  {part}{figures}  {left} left"
        print(f"{line:<79}" if self._live else line, end=end if self._live else "\n", flush=True)


def _bar(epochs: int) -> Any:
    """Return a tqdm bar, or None where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    form = "{l_bar}{bar}| {n:.3g}/{total_fmt} epochs [{elapsed}<{remaining}{postfix}]"
    return tqdm(total=epochs, bar_format=form)
