"""What ``verbose=1`` shows while a network trains: a tqdm bar where tqdm is installed, plain lines otherwise.

Either way: the epoch, its loss, its mean gradient norm, the validation score if there is one, sequences per second
and the time left.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .training import Epoch


class Progress:
    """Shows one epoch after the other.

    Parameters
    ----------
    verbose : int
        0 shows nothing.
    epochs : int
        The most epochs that may come; the time left counts them all.
    sequences : int
        Sequences in an epoch.
    """

    def __init__(self, verbose: int, epochs: int, sequences: int) -> None:
        self.verbose, self.epochs, self.sequences = verbose, epochs, sequences
        self._bar = _bar(epochs) if verbose else None
        self._done, self._seconds = 0, 0.0

    def update(self, record: Epoch) -> None:
        """Show an epoch that has just ended."""
        if not self.verbose:
            return
        self._done += 1
        self._seconds += record.seconds
        if self._bar is not None:
            self._bar.set_postfix_str(self._figures(record), refresh=False)
            self._bar.update()
        else:
            print(f"epoch {self._done}/{self.epochs}  {self._figures(record)}  {self._left()} left", flush=True)

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._bar is not None:
            self._bar.close()

    def _figures(self, record: Epoch) -> str:
        score = "" if record.validation_score is None else f"  score {record.validation_score:.4f}"
        rate = self.sequences / max(record.seconds, 1e-9)
        return f"loss {record.loss:.5g}  gradient {record.gradient_norm:.3g}{score}  {rate:.0f} sequences/s"

    def _left(self) -> timedelta:
        """Time left if every epoch to come takes as long as those so far did on average."""
        return timedelta(seconds=round(self._seconds / self._done * (self.epochs - self._done)))


def _bar(epochs: int) -> Any:
    """Return a tqdm bar, or None where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=epochs, unit="epoch")
