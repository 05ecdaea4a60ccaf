"""Forecasts over HTTP: what the stage says, once for each copy; who may not read, and what is not there, is told so."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.core.detection.outlook import MOST_ROWS
from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.api.forecast import MOST_BUCKETS
from smartflow_assets.stages.experiments.forecast import forecast
from smartflow_assets_tests.homes import START, WEB, Home, daily_series, stages_until, write_rows
from smartflow_assets_tests.serve.served import NOW, service_of, serving, token

ADDRESS = "/api/forecast/web?series=requests"


def test_as_many_buckets_may_be_asked_for_as_are_worth_it():
    assert MOST_BUCKETS == MOST_ROWS  # of the server, which does not load what detection needs


def test_the_answer_is_what_the_stage_says(client, filled_home):
    told = client.get(ADDRESS)
    assert told.status_code == 200, told.text
    said = forecast("web", "requests", filled_home.settings, Catalogue.load(filled_home.settings)).values()
    assert told.json() == said | {"newest_at": "2026-03-08T23:55:00Z", "unit": "", "why_not": None}
    assert told.json()["at"][0] == NOW.timestamp() * 1000 and len(told.json()["at"]) == 200
    assert len(client.get(f"{ADDRESS}&buckets=12").json()["upper"]) == 12
    again = client.get(ADDRESS, headers={"If-None-Match": told.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ("wep?series=requests", 404, "Did you mean web?"),
        ("web?series=request", 404, "Did you mean requests?"),
        ("web?series=zzz", 404, "/api/data/web lists them."),
        ("broken?series=requests", 422, "nothing"),
        ("web", 422, "series"),
        ("web?series=requests&buckets=0", 422, "buckets"),
        ("web?series=requests&buckets=201", 422, "buckets"),
    ],
)
def test_what_is_not_there_is_told(client, asked, status, said):
    answer = client.get(f"/api/forecast/{asked}")
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json" and said in answer.text and answer.json()["remedy"]


@pytest.mark.soak
def test_one_copy_is_asked_once_however_many_ask(home):
    service = service_of(home, is_reading_only=True)  # as one of several workers answers
    asked = list[str]()
    submit = service.trials.submit
    service.trials.submit = lambda function, *given: (asked.append(function.__name__), submit(function, *given))[1]
    with serving(service) as client, ThreadPoolExecutor(6) as many:
        answers = list(many.map(lambda _: client.get(ADDRESS), range(6)))
        assert {answer.status_code for answer in answers} == {200} and len({answer.content for answer in answers}) == 1
        assert asked == ["forecast"]
        write_rows(home.settings.data / "examples/web.csv", daily_series(8))
        home.run_stages("web", START + timedelta(days=8), run_id="next")
        home.warehouse.publish("again", is_forced=True)
        assert client.get(ADDRESS).json()["newest_at"] == "2026-03-09T23:55:00Z" and len(asked) == 2


def test_a_reader_may_and_without_a_model_the_answer_says_when(tmp_path):
    home = Home(tmp_path)
    home.write_source("web", WEB)
    write_rows(home.settings.data / "examples/web.csv", daily_series(0.5))
    header = token(home, Role.reader)
    with serving(service_of(home)) as client:
        assert client.get(ADDRESS).status_code == 401
        missing = client.get(ADDRESS, headers=header)
        assert missing.status_code == 503 and "smartflow run" in missing.json()["remedy"]
        home.run_stages("web", START + timedelta(days=0.5), stages_until("clean_series"))
        home.warehouse.publish("test", is_forced=True)
        untrained = client.get(ADDRESS, headers=header)
        assert untrained.status_code == 200 and untrained.json()["at"] == [] and "288 buckets" in untrained.json()["why_not"]
