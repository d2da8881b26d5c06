"""The examples of forecasting run, with small networks, and their sentences repeat their tables."""

import importlib.util
import re
from pathlib import Path

import pytest

from lightrnn import RNNForecaster

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
SMALL = {"hidden_layer_sizes": 4, "max_iter": 1, "n_nets": 1}


def run(name, monkeypatch, capsys, **constants):
    """Run an example with other constants, and return what it prints."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    constants["RNNForecaster"] = lambda *args, **options: RNNForecaster(*args, **options | SMALL)
    for constant, value in constants.items():
        monkeypatch.setattr(module, constant, value)
    module.main()
    return capsys.readouterr().out


def row(text, name):
    """Return the numbers of a table's row, percentages as they are written."""
    line = next(line for line in text.splitlines() if line.startswith(name))
    return [float(number) for number in re.findall(r"-?[\d.]+", line.removeprefix(name))]


def test_forecast(monkeypatch, capsys, tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    picture = tmp_path / "forecast.png"
    text = run("forecast", monkeypatch, capsys, PICTURE=picture)
    cycle, linear, ours = (
        row(text, name)[-1] for name in ("the cycle before", "linear AR(9)", "RNNForecaster")
    )
    gain, ratio = map(int, re.findall(r"off by (-?\d+)% less .* by (\d+)%", text)[0])
    assert gain == pytest.approx(100 * (1 - ours / cycle), abs=1)
    assert ratio == pytest.approx(100 * abs(ours / linear - 1), abs=1)
    assert ("%\nmore than the linear" in text) == (ours > linear)
    assert picture.stat().st_size > 10_000


def test_forecast_many(monkeypatch, capsys):
    pytest.importorskip("pandas")
    text = run("forecast_many", monkeypatch, capsys, SHOPS=4, DAYS=80)
    before, ours = row(text, "the week before")[0], row(text, "with promotions")[0]
    gain = int(re.findall(r"off by (-?\d+)% less", text)[0])
    assert gain == pytest.approx(100 * (1 - ours / before), abs=2)


def test_monitor(monkeypatch, capsys):
    text = run("monitor", monkeypatch, capsys)
    band, ours = row(text, "fixed band"), row(text, "forecaster's interval")
    times = float(re.findall(r"finds ([\d.]+) times", text)[0])
    assert times == pytest.approx(ours[0] / max(band[0], 2.5), abs=0.1)
