"""What the page makes of numbers, names and times, by the modules themselves in the browser."""

import pytest

from smartflow_assets_tests.serve.page.browser import visiting


@pytest.fixture(scope="module")
def page(browser, address):
    with visiting(browser, address) as visit:
        yield visit.open()


@pytest.fixture(scope="module")
def call(page):
    """Calls a function of a module of the page with these values."""
    text = "([module, name, given]) => import(module).then((found) => found[name](...given))"
    return lambda module, name, *given: page.evaluate(text, [module, name, list(given)])


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (None, "–"),
        (0, "0"),
        (3e-9, "3.0e-9"),
        (-2.512e-5, "-2.51e-5"),
        (0.001, "0.001"),
        (0.012345, "0.0123"),
        (4.5678, "4.57"),
        (312.46, "312.5"),
        (12450.4, "12,450"),
        (999_999.7, "1M"),
        (1_240_000, "1.24M"),
        (4_324_129_892_662, "4.324T"),
        (7.2e18, "7.2e18"),
    ],
)
def test_a_number_has_about_four_digits_whatever_its_size(call, number, written):
    assert call("./format.js", "figure", number) == written
    assert call("./format.js", "figure", number, "Wh") == (written if number is None else f"{written}\u00a0Wh")


def test_the_whole_number_is_there_for_who_asks(call):
    assert call("./format.js", "whole", 4_324_129_892_662, "Wh") == "4,324,129,892,662\u00a0Wh"
    assert call("./format.js", "whole", 3e-9) == "0.000000003"


@pytest.mark.parametrize(
    ("least", "most", "ticks"),
    [
        (0, 8e-9, ["0", "2.0e-9", "4.0e-9", "6.0e-9", "8.0e-9"]),
        (0, 8e12, ["0", "2T", "4T", "6T", "8T"]),
        (4.324e12, 4.3244e12, ["4.324T", "4.3241T", "4.3242T", "4.3243T", "4.3244T"]),
        (0, 1200, ["0", "300", "600", "900", "1,200"]),
        (-5, 5, ["-5", "-2.5", "0", "2.5", "5"]),
    ],
)
def test_ticks_of_an_axis_differ(page, least, most, ticks):
    values = [least + (most - least) * step / 4 for step in range(5)]
    written = "([least, most, values]) => import('./format.js').then(({ scale }) => values.map(scale(least, most)))"
    assert page.evaluate(written, [least, most, values]) == ticks


def test_small_names_are_what_tells_series_apart(page):
    def named(*series):
        return list(page.evaluate("series => import('./labels.js').then(({ labels }) => [...labels(series).values()])", list(series)))

    def of(metric, **dimensions):
        return {"series": f"{metric}{dimensions}", "metric": metric, "dimensions": dimensions}

    shops = [of("umsatz", filiale=shop, land="DE") for shop in ("Köln", "Berlin")]
    assert named(*shops) == ["Köln", "Berlin"]
    assert named(*shops, of("kosten", filiale="Köln", land="DE")) == ["umsatz · Köln", "umsatz · Berlin", "kosten · Köln"]
    assert named(shops[0], of("umsatz", filiale="Köln", land="AT")) == ["DE", "AT"]
    assert named(of("cpu"), of("io")) == ["cpu", "io"]
    assert named(of("cpu")) == ["cpu"]


def test_days_are_called_by_their_date_on_both_sides_of_a_change_of_the_clocks(page):
    """The last week of October in Berlin: the axis stands an hour beside the midnights before it."""
    labels = page.evaluate("""() => import('./series_option.js').then(({ seriesOption }) => {
        const [from, to] = [Date.UTC(2026, 9, 23, 22), Date.UTC(2026, 9, 27, 23)];
        const shown = { zone: "Europe/Berlin", range: [from, to], colour: () => "red" };
        const { xAxis } = seriesOption({ series: "x", at: [from, to], value: [1, 2] }, shown);
        return [24, 25, 26, 27].flatMap((day) => [0, 12].map((hour) => xAxis.axisLabel.formatter(Date.UTC(2026, 9, day, hour))));
    })""")
    assert labels == ["24 Oct", "13:00", "25 Oct", "12:00", "26 Oct", "12:00", "27 Oct", "12:00"]


def test_a_point_without_neighbours_is_a_dot(page):
    drawn = page.evaluate("""() => import('./series_option.js').then(({ seriesOption }) => {
        const series = { series: "x", at: [0, 1, 2, 3, 4, 5].map((hour) => hour * 3600000), value: [7, null, 8, 9, null, 5] };
        const option = seriesOption(series, { range: [0, 5 * 3600000], colour: () => "red" });
        return option.series.find(({ id }) => id === "alone").data.map(({ value }) => value[1]);
    })""")
    assert drawn == [7, 5]


def test_an_incident_that_goes_on_says_for_how_long_it_is_open(call):
    hour = 3_600_000
    opened = {"state": "acknowledged", "opened_at": "2026-03-02T00:00:00Z", "last_seen_at": "2026-03-02T00:10:00Z"}
    now = 1_772_409_600_000 + 1.9 * hour
    assert call("./format.js", "lasted", opened, now) == "open for 1.9 h"
    assert call("./format.js", "lasted", opened | {"state": "resolved", "recovered_at": "2026-03-02T00:20:00Z"}, now) == "20 min"


def test_names_keep_their_case_and_numbers_of_the_server_are_written_as_everywhere(call):
    assert (
        call("./format.js", "told", "Umsatz{filiale=K} 9.32e+12 Wh, usually 3e-09", "umsatz{filiale=K}")
        == "umsatz{filiale=K} 9.32T Wh, usually 3.0e-9"
    )
    assert call("./format.js", "told", "4,324,129 rows of 12,450", None) == "4.324M rows of 12,450"
