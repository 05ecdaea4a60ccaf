"""What everything costs, in one table: ours and what stands beside it, in turn in one run; `make bench`.

    python benchmarks/bench.py [--only idle,cycle] [--repeat 3] [--out benchmarks/results] [--against OLD.json]

Each figure is of a process of its own on a home of its own; what is stated is the median. Figures are for this machine only, so
it is the ratios that can be compared: `--against` puts those of an earlier run beside them, and says which differ by more than a fifth.
README.md beside this file says how each figure is made.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import homes
from cycle import make_home as cycle_home
from rich.console import Console
from rich.progress import Progress
from whole_process import Taken, measure, measure_command

HERE = Path(__file__).parent
SHOWN_PACKAGES = ("dagster", "duckdb", "pandas", "numpy", "scikit-learn", "numba", "prophet", "pyod")
TOLERANCE = 0.2
Work = Callable[[Path], Taken]


@dataclass(frozen=True)
class Figure:
    """One line of the table. `prepare` makes the home that `ours` and all of `beside` are given, anew for each repeat; where what is
    measured leaves it as it was (`is_lasting`), lines with the same `prepare` share one. `unit` is what is stated: CPU seconds, or what
    the process prints. What takes a minute and has nothing beside it is taken once (`is_long`)."""

    name: str
    what: str
    aim: str
    prepare: Callable[[Path], object]
    ours: Work
    beside: Mapping[str, Work] = field(default_factory=dict)
    unit: str = "CPU s"
    is_lasting: bool = False
    is_long: bool = False


def run(*names: str, as_of: datetime | None = None) -> Work:
    """`smartflow run` of these sources."""
    return lambda home: measure(home, "run", *names, *(["--as-of", as_of.isoformat()] if as_of else []))


def python(script: str, *arguments: str) -> Work:
    """A script beside this file; HOME in its arguments stands for the home."""
    return lambda home: measure_command([sys.executable, str(HERE / script), *(each.replace("HOME", str(home)) for each in arguments)])


def after_runs(count: int, make: Callable[[Path], datetime]) -> Callable[[Path], None]:
    """A home whose sources have all run so often, by the clock of the machine: the second run finds nothing new, and looks rest on it."""

    def prepare(home: Path) -> None:
        make(home)
        for _ in range(count):
            checked(measure(home, "run"))

    return prepare


def checked(taken: Taken) -> Taken:
    """What a program took, if it ended well."""
    if taken.exit_code:
        raise SystemExit(f"ended with {taken.exit_code}:\n{taken.output[-3000:]}")
    return taken


def one_hour_more(length: timedelta) -> Work:
    """The run that finds an hour more on so much history, which was run before and is not counted."""

    def work(home: Path) -> Taken:
        folder = home / f"{length.days} days"
        clock = homes.minutes(folder, length)
        checked(measure(folder, "run", "--as-of", clock.isoformat()))
        homes.append_hour(folder)
        return measure(folder, "run", "--as-of", (clock + timedelta(hours=1)).isoformat())

    return work


def fresh_demo(home: Path) -> None:
    """The project's data without what runs have made."""
    for part in ("sources", "examples"):
        shutil.copytree(HERE.parent / "data" / part, home / "data" / part)
    for file in ("channels.yaml", "defaults.yaml"):
        shutil.copy(HERE.parent / "data" / file, home / "data" / file)


def figures() -> list[Figure]:
    """All lines of the table, the cheap ones first."""
    cycle_file = "HOME/data/examples/bench.csv"
    by_hand = {
        "pandas, forest, Prophet by hand": python("peers/pandas_forest.py", cycle_file, "HOME/out.csv", "--prophet"),
        "pandas and forest by hand": python("peers/pandas_forest.py", cycle_file, "HOME/out.csv"),
    }
    if find_spec("pyod"):
        by_hand["PyOD's forest"] = python("peers/pyod_forest.py", cycle_file, "HOME/out.csv")
    two_hundred = after_runs(2, lambda home: homes.small_sources(home, 200))
    cycle_end = datetime(2026, 3, 1, tzinfo=UTC) + 5000 * timedelta(minutes=5)
    wide_end = homes.START + 2000 * timedelta(minutes=5) + timedelta(minutes=1)
    short_end = homes.START + 100 * timedelta(minutes=5) + timedelta(minutes=1)
    large_end = homes.START + timedelta(seconds=10_000_000) + timedelta(minutes=1)
    return [
        Figure(
            "idle",
            "`smartflow run` of one source with nothing new, cold",
            "1.8",
            after_runs(1, lambda home: homes.small_sources(home, 1)),
            run("s0"),
            {
                "thirteen empty assets in bare Dagster": python("peers/bare_dagster.py", "HOME"),
                "import dagster": lambda home: measure_command([sys.executable, "-c", "import dagster"]),
            },
            is_lasting=True,
        ),
        Figure(
            "plain",
            "the same when none is named: a look finds nothing to do",
            "1.8",
            after_runs(2, lambda home: homes.small_sources(home, 1)),
            run(),
            is_lasting=True,
        ),
        Figure(
            "idle20",
            "twenty sources that are named, nothing new",
            "6.6",
            after_runs(1, lambda home: homes.small_sources(home, 20)),
            run(*(f"s{number}" for number in range(20))),
            is_lasting=True,
        ),
        Figure(
            "cycle", "full cycle, 10 series x 5,000 points", "5", lambda home: cycle_home(home, 10, 5000), run(as_of=cycle_end), by_hand
        ),
        Figure(
            "hour",
            "one more hour on a year of minutes",
            "1.2 times",
            lambda home: home,
            one_hour_more(timedelta(days=365)),
            {"on a week": one_hour_more(timedelta(days=7))},
        ),
        Figure(
            "wide",
            "1,000 series x 2,000 points, first run",
            "45 s wall",
            lambda home: homes.many_series(home, 1000, 2000),
            run(as_of=wide_end),
            is_long=True,
        ),
        Figure(
            "short",
            "10,000 series x 100 points, first run",
            "60 s wall",
            lambda home: homes.many_series(home, 10_000, 100),
            run(as_of=short_end),
        ),
        Figure(
            "large",
            "10M rows of Parquet to 1M points to anomalies",
            "120",
            lambda home: homes.large_parquet(home, 10_000_000),
            run(as_of=large_end),
            {"a z-score in DuckDB": python("peers/duckdb_zscore.py", "HOME/data/examples/large.parquet", "HOME/out.csv")},
        ),
        *(
            Figure(
                tier,
                f"{what}, a million clean rows to committed scores",
                aim,
                lambda home: home,
                python("in_process.py", "rate", tier, "100", "1000000"),
                {"scikit-learn's forest, scoring alone": python("in_process.py", "forest", "1000000")},
                unit="rows/s",
                is_lasting=True,
            )
            for tier, what, aim in (("default", "default ensemble", "200,000"), ("statistical", "statistical tier", "1,000,000"))
        ),
        Figure("demo", "`smartflow demo`", "60 s wall", fresh_demo, lambda home: measure(home, "demo"), is_long=True),
        Figure(
            "idle200",
            "`smartflow run` of all 200 sources with nothing new",
            "52",
            two_hundred,
            run(),
            is_lasting=True,
        ),
        Figure(
            "tick",
            "idle tick of the schedule over 200 sources, warm",
            "2",
            two_hundred,
            python("in_process.py", "tick", "HOME"),
            unit="CPU s, printed",
            is_lasting=True,
        ),
        Figure(
            "ui",
            "`smartflow ui`, idle, share of a core",
            "",
            after_runs(1, lambda home: homes.small_sources(home, 5)),
            python("in_process.py", "ui", "HOME", "60"),
            unit="cores",
            is_lasting=True,
            is_long=True,
        ),
    ]


def stated(figure: Figure, taken: Taken) -> float:
    """The number that the table states."""
    return taken.cpu_seconds if figure.unit == "CPU s" else float(taken.output.split()[-1])


@contextmanager
def prepared(figure: Figure, lasting: dict[Callable[[Path], object], Path], folder: Path) -> Iterator[Path]:
    """A home for one repeat of a line; those that last stay in `folder`."""
    home = lasting.get(figure.prepare) if figure.is_lasting else None
    if home is None:
        home = Path(tempfile.mkdtemp(dir=folder))
        figure.prepare(home)
    if figure.is_lasting:
        lasting[figure.prepare] = home
    yield home
    if not figure.is_lasting:
        shutil.rmtree(home)


def measured(figure: Figure, repeat: int, home: Callable[[Figure], AbstractContextManager[Path]], advance: Callable[[], None]) -> dict:
    """Ours and what stands beside it, in turn, and their medians."""
    works = {"ours": figure.ours, **figure.beside}
    found: dict[str, list[Taken]] = {name: [] for name in works}
    for _ in range(repeat):
        with home(figure) as folder:
            for name, work in works.items():
                found[name].append(checked(work(folder)))
                advance()
    medians = {
        name: {
            "value": statistics.median(stated(figure, each) for each in taken),
            "wall_seconds": statistics.median(each.wall_seconds for each in taken),
            "peak_mib": statistics.median(each.peak_mib for each in taken),
        }
        for name, taken in found.items()
    }
    return {"what": figure.what, "aim": figure.aim, "unit": figure.unit, "repeat": repeat, "medians": medians}


def machine() -> dict[str, object]:
    """Where and on what the figures were taken."""
    packages = {}
    for name in SHOWN_PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "packages": packages,
    }


def ratios(results: Mapping[str, dict]) -> dict[str, float]:
    """Ours by what stands beside it, for each pair of the table."""
    return {
        f"{name} / {other}": result["medians"]["ours"]["value"] / median["value"]
        for name, result in results.items()
        for other, median in result["medians"].items()
        if other != "ours"
    }


def table(results: Mapping[str, dict]) -> str:
    """The results as a Markdown table."""
    lines = ["| | ours | wall s | peak MiB | asked for | beside it |", "|---|---:|---:|---:|---:|---|"]
    for result in results.values():
        ours = result["medians"]["ours"]
        beside = "; ".join(f"{name} {_number(each['value'])}" for name, each in result["medians"].items() if name != "ours")
        lines.append(
            f"| {result['what']} | {_number(ours['value'])} {result['unit'].split(',')[0]} | {ours['wall_seconds']:.1f} "
            f"| {ours['peak_mib']:.0f} | {result['aim']} | {beside} |"
        )
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def compared(now: Mapping[str, float], before: Mapping[str, float]) -> str:
    """Each ratio of both runs, and whether they agree."""
    lines = []
    for name in now.keys() & before.keys():
        change = now[name] / before[name] - 1
        lines.append(
            f"{name}: {before[name]:.3g} -> {now[name]:.3g}  {'' if abs(change) <= TOLERANCE else f'differs by {change:+.0%}'}".rstrip()
        )
    return "\n".join(sorted(lines))


def main() -> None:
    known = {figure.name: figure for figure in figures()}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"which of {','.join(known)}; all when not given")
    parser.add_argument("--repeat", type=int, default=3, help="how often a line is taken, but for those that take a minute (default: 3)")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the table and the JSON")
    parser.add_argument("--against", type=Path, help="the JSON of an earlier run")
    arguments = parser.parse_args()
    repeats = {name: 1 if figure.is_long else arguments.repeat for name, figure in known.items()}
    names = arguments.only.split(",") if arguments.only else list(known)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"there is no figure {', '.join(unknown)}; there are {', '.join(known)}")
    began, results, failed = machine(), {}, {}
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / f"bench-{began['taken_at'].replace(':', '')[:17]}.json"
    with tempfile.TemporaryDirectory(prefix="smartflow-bench-") as folder, Progress(console=Console(stderr=True)) as progress:
        home = partial(prepared, lasting={}, folder=Path(folder))
        bar = progress.add_task("bench", total=sum((1 + len(known[name].beside)) * repeats[name] for name in names))
        for name in names:
            progress.update(bar, description=name)
            try:
                results[name] = measured(known[name], repeats[name], home, lambda: progress.advance(bar))
            except SystemExit as error:  # one line that cannot be taken must not cost the others of an hour
                failed[name] = str(error)
            file.write_text(json.dumps({"machine": began, "figures": results, "ratios": ratios(results)}, indent=2) + "\n")
    print(table(results))
    print(f"\n{file}: Python {began['python']}, {began['cores']} cores, load {began['load']:.1f} at the start, {began['packages']}")
    if arguments.against:
        print("\nratios, before -> now\n" + compared(ratios(results), json.loads(arguments.against.read_text())["ratios"]))
    for name, why in failed.items():
        print(f"\n{name} could not be taken: {why}", file=sys.stderr)
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
