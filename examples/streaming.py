"""Live prediction over an endless series: one value in, a forecast of the next out.

A machine hums, and now and then its rhythm changes, so that no fixed formula fits. A network is
trained on recordings of it to forecast each next value, and is then fed the live signal: `stream()`
keeps the state, so a step costs microseconds, and as much time and memory after a million steps as
after one. The forecasts are compared with the true values as they come in, and with the simplest
forecast: that the next value equals the last.
"""

import time
from collections.abc import Iterator

import numpy as np

from lightrnn import RNNRegressor

LIVE = 100_000


def machine(seed: int) -> Iterator[float]:
    """Yield two tones and a little noise for ever; the rhythm changes every few hundred steps."""
    rng = np.random.default_rng(seed)
    phase = 0.0
    while True:
        pace = rng.uniform(0.15, 0.4)
        for _ in range(rng.integers(200, 600)):
            phase += pace
            noise = 0.03 * rng.standard_normal()
            yield float(np.sin(phase) + 0.4 * np.sin(2.7 * phase) + noise)


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
        learning_rate_init=1e-2,
        random_state=0,
    )
    net.fit([x[:-1] for x in X], [x[1:, 0] for x in X])
    print(f"Trained on {len(X)} recordings in {time.perf_counter() - start:.0f} s.\n")
    print(f"{'live steps':>10}  {'error':>7}  {'of the last value':>17}  {'us/step':>9}")
    stream = net.stream()
    signal = machine(seed=1)
    stream.step(0.0)  # the first step of a cell compiles it
    stream.reset()
    value = next(signal)
    errors = np.zeros(2)  # sums of squares: of the forecast, and of the last value as one
    spent = 0.0
    chunk = LIVE // 5
    for step in range(1, LIVE + 1):
        begun = time.perf_counter()
        forecast = stream.step(value)
        spent += time.perf_counter() - begun
        before = value
        value = next(signal)
        errors += (forecast - value) ** 2, (before - value) ** 2
        if step % chunk == 0:
            ours, naive = np.sqrt(errors / chunk)
            microseconds = 1e6 * spent / chunk
            print(f"{step:>10,}  {ours:>7.4f}  {naive:>17.4f}  {microseconds:>9.1f}", flush=True)
            errors[:] = 0
            spent = 0.0
    print(f"\nThe forecast's error is {ours / naive:.0%} of that of the last value.")
    kept = stream.snapshot()
    ahead = [forecast]
    for _ in range(5):  # with its own forecasts as inputs
        ahead.append(stream.step(ahead[-1]))
    stream.restore(kept)  # the stream could now go on with the live signal
    came = [value, *(next(signal) for _ in range(5))]
    print("\nSix steps ahead: ", " ".join(f"{number:.2f}" for number in ahead))
    print("True values:     ", " ".join(f"{number:.2f}" for number in came))
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
