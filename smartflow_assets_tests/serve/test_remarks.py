"""What is said of rows that are odd and can be taken all the same."""

from datetime import UTC, datetime

import pytest
import yaml

from smartflow_assets.adapters.staging.readable_times import odd_times
from smartflow_assets.config.source import Source
from smartflow_assets.serve.access.tokens import Role
from smartflow_assets.serve.submissions import remarks
from smartflow_assets_tests.homes import Home
from smartflow_assets_tests.serve.served import LIVE, service_of, serving, token

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
GREENHOUSE = """
name: greenhouse
read: {type: inbox, time: at}
dimensions: [bed]
metrics: [{name: warmth, column: temperature}, {name: damp, column: humidity}]
"""


@pytest.fixture(scope="module")
def greenhouse() -> Source:
    return Source.model_validate(yaml.safe_load(GREENHOUSE))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"at": 1, "bed": "a", "temperature": 1}, {"at": 1, "bed": "a", "humidity": 1}], []),
        (
            [{"at": 1, "bed": "a", "temperatur": 1}] * 2,
            [
                "2 rows without temperature, which the source reads; 'temperatur' is stored, and nothing reads it",
                "2 rows without humidity, which the source reads",
            ],
        ),
        (
            [{"at": 1, "beds": "a", "temperature": 1, "humidity": 1, "weather": "fine"}],
            ["1 row without bed, which the source reads; 'beds' is stored, and nothing reads it"],
        ),
        ([{"at": 1}], ["1 row without temperature, which the source reads", "1 row without humidity, which the source reads"]),
    ],
)
def test_columns_that_the_source_reads_and_rows_lack_are_named(greenhouse, rows, said):
    assert remarks.of_columns(rows, greenhouse) == said


def test_times_ahead_of_the_clock_are_named(greenhouse):
    reading = greenhouse.read.time.reading("Europe/Berlin")

    def said(*times: str) -> list[str]:
        return remarks.of_times(times, odd_times(times, reading, NOW + remarks.CLOCKS_DIFFER).ahead)

    assert said("2026-03-09 13:04:59", "2026-03-09T12:04:59Z") == []
    assert said("2026-03-09 13:06", "2126-03-09") == [
        "2 rows lie ahead of the clock (2026-03-09 13:06): stored, and judged once the clock is there"
    ]


def test_they_come_with_the_answer(tmp_path):
    home = Home(tmp_path / "live")
    home.write_source("live", LIVE)
    with serving(service_of(home, lambda home, source: {"run_id": "r", "is_success": True, "failures": [], "notes": []})) as client:
        headers = token(home, Role.operator)
        answer = client.post("/api/submit", headers=headers, json={"source": "live", "row": {"at": "2126-03-09", "laod": 1}})
        assert answer.status_code == 202 and len(answer.json()["notes"]) == 2
        answer = client.post("/api/submit", headers=headers, json={"source": "live", "row": {"at": "2026-03-09", "load": 1}})
        assert answer.json()["notes"] == []
