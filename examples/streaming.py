"""Live prediction over a series without end: one value in, the forecast of the next out, in microseconds.

A machine hums; now and then its rhythm changes, so that no fixed formula fits. A network is trained on recordings of it
to say each next value, then put on the live signal: `stream()` keeps the state, so a step costs the same after a
million of them as after one, in time and in memory. Forecasts are scored as the true values come in, beside the
plainest one: the next value is like the last.
"""

import time
from collections.abc import Iterator

import numpy as np

from lightrnn import RNNRegressor

LIVE = 100_000


def machine(seed: int) -> Iterator[float]:
    """Yield a hum for ever: a wave of two tones whose rhythm changes every few hundred steps, and a little noise."""
    rng = np.random.default_rng(seed)
    phase, pace, left = 0.0, 0.3, 0
    while True:
        if left == 0:
            pace, left = rng.uniform(0.15, 0.4), int(rng.integers(200, 600))
        phase, left = phase + pace, left - 1
        yield float(np.sin(phase) + 0.4 * np.sin(2.7 * phase) + 0.03 * rng.standard_normal())


def recordings(count: int, steps: int) -> list[np.ndarray]:
    """Return stretches of the signal, (steps + 1, 1) each."""
    signal = machine(seed=0)
    return [np.fromiter(signal, np.float32, steps + 1)[:, None] for _ in range(count)]


def main() -> None:
    """Train, then follow the live signal."""
    start = time.perf_counter()
    X = recordings(60, 400)
    net = RNNRegressor(
        "gru",
        (32,),
        target="step",
        batch_size=4,
        max_iter=40,
        learning_rate="cosine",
        learning_rate_init=1e-2,
        random_state=0,
    )
    net.fit([x[:-1] for x in X], [x[1:, 0] for x in X])
    print(f"Trained on {len(X)} recordings in {time.perf_counter() - start:.0f} s.\n")
    print(f"{'live steps':>10}  {'error':>7}  {'of the last value':>17}  {'us a step':>9}")
    stream, signal = net.stream(), machine(seed=1)
    stream.step(0.0)  # the first step of a cell compiles it
    stream.reset()
    value, forecast, errors = next(signal), 0.0, np.zeros(2)
    spent, chunk = 0.0, LIVE // 5
    for step in range(1, LIVE + 1):
        begun = time.perf_counter()
        forecast = stream.step(value)
        spent += time.perf_counter() - begun
        before, value = value, next(signal)
        errors += (forecast - value) ** 2, (before - value) ** 2
        if step % chunk == 0:
            ours, naive = np.sqrt(errors / chunk)
            print(
                f"{step:>10,}  {ours:>7.4f}  {naive:>17.4f}  {1e6 * spent / chunk:>9.1f}",
                flush=True,
            )
            errors[:], spent = 0, 0.0
    kept = stream.snapshot()
    ahead = [forecast]
    for _ in range(
        5
    ):  # its own forecasts as inputs: a look further ahead, then back to the live signal
        ahead.append(stream.step(ahead[-1]))
    stream.restore(kept)
    print("\nSix steps ahead: ", " ".join(f"{f:.2f}" for f in ahead))
    print(
        "and what came:   ",
        " ".join(f"{v:.2f}" for v in [value, *(next(signal) for _ in range(5))]),
    )
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
