"""The display of ``verbose=1``: a tqdm bar on a terminal or in a notebook, otherwise lines.

Both show the epoch, its loss, its mean gradient norm, the validation score if there is one,
sequences (or tokens) per second and the time left. Within a long epoch they are updated every
second on a terminal, every half minute elsewhere. Lines go to stdout, or where tqdm is installed to
stderr as its bars do, and are at most a hundred; a log file gets no bar. What takes longer because
kernels are compiled is said in a line of its own on stderr, and no clock counts it; on a terminal
and in a notebook that line comes without ``verbose``, too. Of several fits at once, in threads or
processes, one says it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TextIO

from .. import cpu

if TYPE_CHECKING:
    from .history import Epoch, History

# Seconds between updates within an epoch: on a terminal, and where each is a new line of a log.
_TERMINAL = 1.0
_LOG = 30.0
_LINES = 100  # of all epochs; of more epochs some are left out
_PATIENCE = 1.0  # seconds that kernels may be compiled in silence
_NOT_KEPT = "for this process alone: python -m lightrnn info shows where it could be kept"


@dataclass(eq=False, repr=False)
class Progress:
    """Shows one epoch after the other.

    Parameters
    ----------
    verbose : int
        0 shows no epochs.
    epochs : int
        The most epochs that may come; the time left counts them all.
    count : int
        Sequences or tokens in an epoch.
    unit : str, default="sequences"
        The name of what is counted.
    cell : str, default="kernels"
        The name of what may have to be compiled.
    """

    verbose: int
    epochs: int
    count: int
    unit: str = "sequences"
    cell: str = "kernels"

    name = ""  # of the network, if there are several
    _done = 0  # epochs that have ended
    _shown = 0.0  # epochs that the bar shows
    _figures = ""  # of the last update
    _bar: Any = None
    _stream: TextIO | None = None  # where lines go, once something was shown
    _live = False  # whether a line may replace the one before
    _took = timedelta()

    def __post_init__(self) -> None:
        """Begin the first epoch."""
        self._start = self._last = self._began = cpu.compiling.clock()
        self._working = Event()  # whether the first batch has been learned
        # Whoever looks on and wants no progress still wonders why nothing happens.
        if self.verbose or _is_terminal(sys.stderr) or _is_cell(sys.stderr):
            before = (cpu.compiling.seconds(),)
            self._watch = Thread(target=self._announce, args=before, daemon=True)
            with suppress(RuntimeError):  # there may be no more threads
                self._watch.start()

    @property
    def begun(self) -> bool:
        """Whether anything has been learned."""
        return self._working.is_set()

    def advance(self, part: float, loss: float) -> None:
        """Show which part of an epoch is over, if the last update is old enough."""
        self._open()
        if not self.verbose:
            return
        now = cpu.compiling.clock()
        patience = _TERMINAL if self._live or self._bar is not None else _LOG
        if part >= 1.0 or now - self._last < patience:
            return
        rate = part * self.count / (now - self._began)
        self._figures = f"loss {loss:.5g}  {rate:.0f} {self.unit}/s"
        self._show(part, f"{part:>4.0%}  ", "\r")

    def update(self, record: Epoch) -> None:
        """Show an epoch that has just ended."""
        self._open()
        if not self.verbose:
            return
        figures = f"loss {record.loss:.5g}  gradient norm {record.gradient_norm:.3g}"
        if record.validation_score is not None:
            figures += f"  validation score {record.validation_score:.4f}"
        rate = self.count / max(record.seconds, 1e-9)
        self._figures = f"{figures}  {rate:.0f} {self.unit}/s"
        number = self._done + 1
        step = -(-self.epochs // _LINES)
        if self._bar is not None or number % step == 0 or number in (1, self.epochs):
            self._show(1.0, "", "\n")
        self._done = number
        self._began = cpu.compiling.clock()

    def close(self) -> None:
        """End the display; in a bar the time that training took replaces the time left."""
        self._working.set()
        self._took = timedelta(seconds=round(cpu.compiling.clock() - self._start))
        if self._bar is not None:
            with self._survived():
                self._bar.set_postfix_str(f"{self._figures}  in {self._took}")
                self._bar.close()

    def report(self, history: History) -> None:
        """Say what ended training before its last epoch, and whose weights the network has."""
        if not self.verbose:
            return
        if history.stop_reason == "max_iter" and history.best_epoch == history.epochs:
            return
        name = f"{self.name}: " if self.name else ""
        line = (
            f"{name}{history.epochs} epochs in {self._took}, ended by {history.stop_reason}; the "
            f"weights are those of epoch {history.best_epoch}"
        )
        with self._survived():
            if self._bar is None:
                print(line, file=self._stream, flush=True)
            else:
                self._bar.write(line, file=self._bar.fp)

    @contextmanager
    def _survived(self) -> Iterator[None]:
        """Go on without a display where its stream is missing, closed or broken."""
        try:
            yield
        except Exception:  # a stream may be any object with a method write
            self.verbose = 0
            self._bar = None

    def _open(self) -> None:
        """Make the display when the first batch has been learned: what comes before is no work."""
        if self.begun:
            return
        self._working.set()
        if not self.verbose:
            return
        with self._survived():
            auto = _tqdm()
            self._stream = sys.stderr if auto else sys.stdout
            terminal = _is_terminal(self._stream)
            # The streams of a notebook are no terminals.
            if auto and (terminal or auto.notebook_tqdm is not auto.std_tqdm):
                form = "{l_bar}{bar}| {n:.4g}/{total_fmt} epochs{postfix}"
                with cpu.once.MAKING:  # a first bar imports locks for processes
                    self._bar = auto.tqdm(
                        total=self.epochs, bar_format=form, desc=self.name or None
                    )
            self._live = terminal and self._bar is None

    def _announce(self, before: float) -> None:
        """Say that kernels are compiled, if the first batch waits for that."""
        while not self._working.wait(_PATIENCE / 4):
            if cpu.compiling.seconds() - before >= _PATIENCE:
                claim = cpu.cache.Claim(f"line-{self.cell}")
                if claim.take():
                    kept = "once on this machine" if claim.directory else _NOT_KEPT
                    with suppress(Exception):
                        sys.stderr.write(f"compiling {self.cell}, {kept}\n")
                        sys.stderr.flush()
                    self._working.wait()
                claim.release()
                return

    def _show(self, part: float, prefix: str, end: str) -> None:
        """Update the bar or print a line; on a terminal `end` lets the next line replace it."""
        self._last = now = cpu.compiling.clock()
        done = self._done + part
        left = timedelta(seconds=round((now - self._start) / done * (self.epochs - done)))
        figures = f"{self._figures}  {left} left"
        with self._survived():
            if self._bar is not None:
                self._bar.set_postfix_str(figures, refresh=False)
                self._bar.update(done - self._shown)
                self._shown = done
            else:
                name = f"{self.name}  " if self.name else ""
                line = f"{name}epoch {self._done + 1}/{self.epochs}  {prefix}{figures}"
                # Blanks erase a longer line.
                whole = f"{line:<79}{end}" if self._live else f"{line}\n"
                print(whole, end="", file=self._stream, flush=True)


def _tqdm() -> Any:
    """Return tqdm's module for terminals and notebooks, or None where it is not installed."""
    try:
        with cpu.once.MAKING:  # so that no fork leaves it half imported
            from tqdm import auto
    except ImportError:
        return None
    return auto


def _is_terminal(stream: Any) -> bool:
    """Return whether a stream is a terminal; many that stand in for stdout cannot say."""
    try:
        return bool(stream.isatty())
    except Exception:
        return False


def _is_cell(stream: Any) -> bool:
    """Return whether what is written to a stream appears below a cell of a notebook."""
    return type(stream).__module__.startswith("ipykernel")
