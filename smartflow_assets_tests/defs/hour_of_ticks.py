"""What a daemon does for one home, minute by minute of a moved clock: `python hour_of_ticks.py FIRST_MINUTE MINUTES`.

A program of its own, since the prefix is read when definitions are made. Prints the runs that it made, as JSON.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import dagster as dg

from smartflow_assets.config.settings import Settings
from smartflow_assets.defs import schedules, sensors
from smartflow_assets.defs.build import build_definitions
from smartflow_assets.defs.execute import execute, execute_many
from smartflow_assets.defs.instance import open_instance
from smartflow_assets.defs.names import EACH_SOURCE

RUN_EACH = 30  # minutes: runs have the clock of the machine, so between them what has run stays due by the moved one
LOOKING = (sensors.catalogue_sensor, sensors.inbox_sensor, sensors.training_sensor, sensors.outbox_sensor, sensors.housekeeping_sensor)


def main(first: datetime, minutes: int) -> None:
    settings, repository = Settings.from_environment(os.environ), build_definitions().get_repository_def()
    made = []
    with open_instance(Path(os.environ["DAGSTER_HOME"])) as instance:
        for minute in range(minutes):
            moment = first + timedelta(minutes=minute)

            class Moved(datetime):
                @classmethod
                def now(cls, tz=None, moment=moment):
                    return moment

            with patch.object(schedules, "datetime", Moved), patch.object(sensors, "datetime", Moved):
                for sensor in LOOKING:
                    sensor(dg.build_sensor_context(instance=instance))
                watching = (schedules.monitor_schedule, schedules.monitor_many_schedule)
                for schedule in (*watching, *([] if minute % 10 else [schedules.train_schedule])):
                    with dg.build_schedule_context(
                        instance=instance, scheduled_execution_time=moment, repository_def=repository
                    ) as context:
                        asked = schedule.evaluate_tick(context).run_requests
                    for request in () if minute % RUN_EACH else asked or ():
                        outcomes = []
                        if request.partition_key:
                            outcomes.append(execute(instance, settings, "monitor_source", request.partition_key, {}))
                        else:
                            together = request.run_config["ops"][EACH_SOURCE]["config"]["sources"]
                            execute_many(instance, settings, together, {}, on_end=outcomes.append)
                        made += [(outcome.run_id, outcome.source, outcome.is_success) for outcome in outcomes]
    print(json.dumps(made))


if __name__ == "__main__":
    main(datetime.fromisoformat(sys.argv[1]).astimezone(UTC), int(sys.argv[2]))
