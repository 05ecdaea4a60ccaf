"""What to try next, and which is the best, on surfaces whose summit is known."""

import pytest

from smartflow_assets.core.evaluation.settings_search import Parameter, Point, Trial, TrialFigures, best, point_key, propose

SPACE = (
    Parameter("a", "a", (1, 2, 5, 10, 20, 50, 100), present=1, default=5),
    Parameter("b", "b", (0.1, 0.2, 0.3, 0.4, 0.5), present=0.1, default=0.1),
    Parameter("c", "c", (False, True), present=False, default=False),
)


def figures(f1: float, pr_auc: float = 0.5, false_alerts: int = 3) -> TrialFigures:
    return TrialFigures(f1, f1, f1, pr_auc, false_alerts, 0.1)


def trial(f1: float, pr_auc: float = 0.5, false_alerts: int = 3, **point: float) -> Trial:
    return Trial(point, figures(f1, pr_auc, false_alerts))


def hill(point: Point) -> TrialFigures:
    """Highest at a=20, b=0.4 and c, and not along a straight way there: b helps only once a is large."""
    a, b, c = point.get("a", 1), point.get("b", 0.1), point.get("c", False)
    height = 0.9 - abs(SPACE[0].values.index(a) - 4) / 10 - (abs(b - 0.4) if a >= 10 else b) + (0.05 if c else 0)
    return figures(height)


def search(count: int, seed: int = 0, *, before: list[Trial] | None = None) -> list[Trial]:
    trials = list(before or [])
    while len(trials) < count and (point := propose(SPACE, trials, seed)) is not None:
        trials.append(Trial(point, hill(point)))
    return trials


def test_the_present_settings_come_first_then_each_value_alone():
    trials = search(13)
    assert trials[0].point == {}
    assert all(len(each.point) == 1 for each in trials[1:12]) and len(trials[12].point) != 1
    assert [next(iter(each.point)) for each in trials[1:4]] == ["a", "b", "c"]


@pytest.mark.parametrize("seed", range(5))
def test_it_climbs_to_a_summit_that_no_single_change_leads_to(seed):
    assert best(search(45, seed), SPACE)[0].point == {"a": 20, "b": 0.4, "c": True}


def test_no_point_is_tried_twice_and_it_ends_when_all_are():
    trials = search(1000)
    assert len({each.key for each in trials}) == len(trials) <= 7 * 5 * 2
    assert len(trials) > 60
    assert propose(SPACE[2:], [Trial({}, figures(0.5)), Trial({"c": True}, figures(0.5))], 0) is None


@pytest.mark.parametrize("at", [0, 5, 20, 33])
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(at):
    whole = search(40)
    assert [each.point for each in search(40, before=whole[:at])] == [each.point for each in whole]


def test_another_seed_goes_another_way():
    assert [each.key for each in search(40, 1)] != [each.key for each in search(40, 2)]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (trial(0.8, 0.1, 9, a=100), trial(0.7, 0.9, 0)),
        (trial(0.8, 0.6, 9, a=100), trial(0.8, 0.5, 0)),
        (trial(0.8, 0.5, 1, a=100), trial(0.8, 0.5, 2)),
        (trial(0.8, 0.50, 1, a=5), trial(0.8, 0.52, 1, a=2)),  # so small a difference is chance; 5 is the default
        (trial(0.8, a=5), trial(0.8)),  # nearer to the default than what stands
        (trial(0.8, b=0.2), trial(0.8, b=0.3)),
        (trial(0.8), trial(0.8, b=0.2)),
    ],
)
def test_f1_counts_first_then_ranking_then_false_alerts_then_the_defaults(better, worse):
    assert best([worse, better], SPACE, 2) == best([better, worse], SPACE, 2) == [better, worse]


def test_what_failed_is_never_the_best_and_is_not_tried_again():
    failed = Trial({"a": 20}, None, "no")
    assert best([failed], SPACE) == []
    assert all(each.key != failed.key for each in search(60, before=[failed])[1:])


def test_equal_points_have_equal_keys():
    assert point_key({"a": 1, "b": 2}) == point_key({"b": 2, "a": 1}) != point_key({"a": 1})
