"""Pages load nothing, are read without seeing the pictures, and have enough contrast."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from lightrnn.comparison import compare
from lightrnn.comparison.page import _STYLE, Page, heat_map, line_chart
from lightrnn.comparison.report import report

VOID = {"meta", "path", "rect", "polyline", "circle"}


class Reader(HTMLParser):
    """Checks that every element that is opened is closed, and keeps all attributes."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.seen = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read(html):
    """Return the elements of a page after checking what holds for each page."""
    reader = Reader()
    reader.feed(html)
    assert not reader.open
    names = {name for _, attributes in reader.seen for name in attributes}
    assert not names & {"src", "href"} and not re.search(r"url\(|@import|<script", html)
    for tag, attributes in reader.seen:
        assert tag != "svg" or (attributes["role"] == "img" and len(attributes["aria-label"]) > 10)
    return reader.seen


def luminance(colour):
    """Return the relative luminance of a colour as WCAG defines it."""
    digits = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_colours_of_text_and_curves_have_contrast_in_light_and_dark():
    light, dark, _ = _STYLE.split("@media")
    for mode in (light, dark):
        colours = dict(re.findall(r"--(\w+): #([0-9a-f]{3,6});", mode))
        paper = luminance(colours["paper"])
        assert {"ink", "soft", "c0", "c5"} <= colours.keys()
        for name in colours.keys() - {"paper", "line"}:
            low, high = sorted([paper, luminance(colours[name])])
            assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_a_page_is_whole_and_escapes_what_it_shows():
    page = Page("a < b & c")
    page.heading("<script>")
    page.text("x > y")
    page.table(("<net>", "score"), [("lstm", "1 & 2")], "caption")
    page.figure(heat_map(np.array([[0.0, 1.0]]), ["<r>"], ["a", "b"], "two values in a map"), "x")
    curves = {"a<": ([1, 2, 3], [1.0, np.nan, 0.1]), "b": ([1, 2], [0.0, 0.5])}
    chart = line_chart(curves, ("x", "y"), "two named curves", log="y", marks=True)
    page.figure(chart, "z")
    seen = [tag for tag, _ in read(page.html())]
    assert seen.count("svg") == 2 and seen.count("polyline") == 2 and "<r>" not in page.html()
    assert chart.count("<circle") == 3  # NaN and 0 have no place


@pytest.mark.parametrize("log", ["", "x", "y", "xy"])
def test_ticks_are_few_and_on_the_axis(log):
    for top in (1.001, 7.0, 3e5):
        chart = line_chart({"a": ([1, top], [1, top])}, ("x", "y"), "a straight line", log=log)
        assert 2 <= chart.count("<text") <= 3 + 2 * 8


def test_a_comparison_is_reported():
    X = np.random.default_rng(0).normal(size=(24, 5, 1))
    options = {"hidden_layer_sizes": (3,), "max_iter": 2, "folds": 2, "windows": (2,)}
    for y in (X[:, 2, 0], np.where(X[:, 2, 0] > 0, "up", "down")):
        found = compare(X, y, **options)
        assert all(len(result.predicted) == 24 for result in found.results)
        html = report(found).html()
        read(html)
        for text in ("has the best", "How the nets learned", "What to change next", "lstm"):
            assert text in html


def test_points_keep_off_the_axes_and_each_other():
    svg = line_chart({"a": ([1], [0.5]), "b": ([2], [0.9])}, ("x", "y"), "Two points.", marks=True)
    places = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)]
    frame = re.search(r"M(\d+) (\d+)V(\d+)H(\d+)", svg)
    left, top, floor, right = map(int, frame.groups())
    assert all(left + 9 < x < right - 9 and top + 9 < y < floor - 9 for x, y in places)


def test_short_names_stand_upright_above_a_heat_map():
    assert "rotate(0)" in heat_map(np.eye(2), ["0", "1"], ["0", "1"], "Two classes.")
    assert "rotate(-90)" in heat_map(np.eye(2), ["0", "1"], ["zero", "one"], "Two classes.")


def test_columns_of_text_stand_left_and_those_of_numbers_right():
    page = Page("Nets")
    page.table(
        ("net", "take it when", "score"), [("lstm", "far", "0.9 ± 0.1"), ("rnn", "near", "")]
    )
    kinds = [attributes["class"] for tag, attributes in read(page.html()) if tag in ("th", "td")]
    assert kinds == 3 * ["text", "text", "number"]


def test_few_whole_values_are_the_ticks_of_a_logarithmic_axis():
    chart = line_chart({"a": ([10, 20, 80], [1, 2, 3])}, ("x", "y"), "Three points.", log="x")
    assert {"10", "20", "80"} <= set(re.findall(r">(\d+)</text>", chart))
