"""Watch a machine: a stream that forecasts after every value, and alarms where one is a surprise.

A machine's temperature has a daily rhythm, and a load that moves it up and down. A forecaster is
trained on sixty days without faults, and then follows the live values: `stream()` keeps the state,
so a step costs microseconds. A value outside of the interval that was forecast a step before raises
an alarm. The simplest monitor is a fixed band that holds as many of the values of training: a fault
within the usual range escapes it.
"""

import time

import numpy as np

from lightrnn import RNNForecaster

DAY = 24
LEVEL = 95
FAULTS = 40


def temperatures(days: int, rng: np.random.Generator) -> np.ndarray:
    """Return hourly temperatures: a daily rhythm, a load that changes slowly, and noise."""
    steps = np.arange(days * DAY)
    load = np.zeros(len(steps))
    for step in steps[1:]:
        load[step] = 0.98 * load[step - 1] + rng.normal(scale=0.15)
    return 60 + 8 * np.sin(2 * np.pi * steps / DAY) + load + rng.normal(scale=0.3, size=len(steps))


def main() -> None:
    """Train, follow the live values, and count alarms."""
    rng = np.random.default_rng(0)
    normal = temperatures(60, rng)
    live = temperatures(60, rng)
    faults = np.sort(rng.choice(np.arange(DAY, len(live)), FAULTS, replace=False))
    live[faults] += 3 * rng.choice([-1, 1], FAULTS)

    start = time.perf_counter()
    model = RNNForecaster(1, DAY, max_iter=20, random_state=0).fit(normal)
    print(
        f"Trained on {len(normal):,} values without faults in {time.perf_counter() - start:.0f} s."
    )

    stream = model.stream(normal, level=LEVEL)
    forecast = model.predict(level=LEVEL)
    alarms = np.zeros(len(live), bool)
    start = time.perf_counter()
    for step, value in enumerate(live.tolist()):
        low, high = forecast[f"lightrnn-lo-{LEVEL}"][0], forecast[f"lightrnn-hi-{LEVEL}"][0]
        alarms[step] = not low <= value <= high
        forecast = stream.step(value)
    pace = (time.perf_counter() - start) / len(live) * 1e6

    tails = (1 - LEVEL / 100) / 2
    low, high = np.quantile(normal, [tails, 1 - tails])
    monitors = {"fixed band": (live < low) | (live > high), "forecaster's interval": alarms}
    print(f"\n{FAULTS} faults of 3 degrees in {len(live):,} live values\n")
    print(f"{'monitor':<24}{'faults found':>14}{'false alarms':>14}")
    usual = np.ones(len(live), bool)
    usual[faults] = False
    for name, raised in monitors.items():
        print(f"{name:<24}{raised[faults].mean():>14.0%}{raised[usual].mean():>14.1%}")

    # Recorded values need no stream: where each fell in its distribution, from 0 to 1.
    places = model.surprise(np.concatenate([normal, live]))[len(normal) :]
    extreme = np.minimum(places, 1 - places)
    found = alarms[faults].mean() / max(monitors["fixed band"][faults].mean(), 1 / FAULTS)
    ours, theirs = alarms[usual].mean(), monitors["fixed band"][usual].mean()
    print(
        f"\nThe median fault lies {np.median(extreme[faults]):.3f} from an end of its distribution."
    )
    print(f"The forecaster finds {found:.1f} times as many faults as the band, at {ours:.1%} false")
    print(f"alarms against the band's {theirs:.1%}, in {pace:.0f} microseconds a value.")


if __name__ == "__main__":
    main()
