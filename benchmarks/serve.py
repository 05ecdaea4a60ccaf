"""What the server answers, and how fast: a home of a million points, eight clients, while a run of another source writes and publishes.

    python benchmarks/serve.py [--points 1000000] [--seconds 4] [--clients 8] [--listeners 100]

Clients are threads of a process of their own, each with one connection that is kept. An answer that follows from a copy is worked out once
for each copy; `fresh` asks for another window each time, so that it is worked out each time. Then `--listeners` listen to the stream while
rows are sent; each event must come to each once, in order. At last what the server takes when nobody asks, and with ten open streams.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import homes
import psutil
from whole_process import SMARTFLOW, UNSET, measure

LIVE = """\
name: live
read: {type: inbox, time: at}
metrics: [{name: load, column: load}]
time_bucket: {every: 5min, settle: 0s}
rules: [{type: threshold, metric: load, above: 1500, severity: critical}]
"""
Ask = Callable[[random.Random], tuple[str, str, str | None]]


def questions(start: str) -> dict[str, Ask]:
    """What is asked, by name; each question is made anew, of random numbers."""

    def window(rng: random.Random) -> str:
        at = homes.START + timedelta(minutes=5 * rng.randrange(0, 1500))
        return f"from={at:%Y-%m-%dT%H:%M:%SZ}&to={at + timedelta(days=1, minutes=rng.randrange(600)):%Y-%m-%dT%H:%M:%SZ}"

    named = {
        "/health": "/health",
        "/metrics": "/metrics",
        "/api/status": "/api/status",
        "/api/sources": "/api/sources",
        "/api/stats": "/api/stats",
        "/api/data": "/api/data/wide?limit=5",
        "/api/anomalies": "/api/anomalies",
        "/api/incidents": "/api/incidents?state=all",
        "/api/alerts": "/api/alerts",
        "/api/checks": "/api/checks",
    }
    asked: dict[str, Ask] = {name: (lambda rng, address=address: ("GET", address, None)) for name, address in named.items()}
    asked["/api/data fresh"] = lambda rng: ("GET", f"/api/data/wide?series=load%7Bhost%3Dh{rng.randrange(500)}%7D&{window(rng)}", None)
    asked["/api/anomalies fresh"] = lambda rng: ("GET", f"/api/anomalies?limit={rng.randrange(1, 500)}&{window(rng)}", None)
    asked["/api/incidents fresh"] = lambda rng: (
        "GET",
        f"/api/incidents?state=all&q=h{rng.randrange(500)}&limit={rng.randrange(1, 400)}",
        None,
    )
    return asked


def client(
    port: int, name: str, start: str, seconds: float, headers: dict[str, str], number: int, told: "multiprocessing.Queue[object]"
) -> None:
    ask, rng = questions(start)[name], random.Random(number)
    connection, times, errors = http.client.HTTPConnection("127.0.0.1", port, timeout=60), list[float](), list[str]()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        method, address, body = ask(rng)
        begun = time.perf_counter()
        connection.request(method, address, body, headers)
        answer = connection.getresponse()
        answer.read()
        times.append(time.perf_counter() - begun)
        if answer.status != 200:
            errors.append(f"{answer.status} {address}")
    told.put((times, errors))


def clients(port: int, name: str, start: str, seconds: float, count: int, headers: dict[str, str]) -> str:
    """Requests a second, p50 and p99 in milliseconds, errors."""
    answers: multiprocessing.Queue[object] = multiprocessing.Queue()

    def all_of_them() -> None:
        threads = [threading.Thread(target=client, args=(port, name, start, seconds, headers, number, answers)) for number in range(count)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    process = multiprocessing.Process(target=all_of_them)
    process.start()
    found = [answers.get() for _ in range(count)]
    process.join()
    times = sorted(each for one, _ in found for each in one)  # type: ignore[misc]
    errors = [each for _, many in found for each in many]  # type: ignore[misc]
    p50, p99 = (1000 * times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99))
    return f"{len(times) / seconds:8.0f} req/s   p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   {len(errors)} errors {errors[:1] or ''}"


def worked_out(port: int, headers: dict[str, str], rng: random.Random) -> None:
    """Print what predict, preview and configure take, one after the other: they work in a process beside the server, which the first
    request of each starts."""
    at = homes.START + timedelta(minutes=5 * 2_000)
    row = {"timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}", "host": "h1", "value": 100.0}

    def limits() -> dict[str, object]:
        return {"sensitivity": rng.choice(["low", "medium", "high"]), "ignore_small_changes": f"{rng.randrange(1, 30)}%"}

    asked: dict[str, tuple[str, Callable[[], dict[str, object]]]] = {
        "predict, 1 row": ("/api/predict", lambda: {"source": "wide", "rows": [row]}),
        "predict of 1 series": ("/api/predict", lambda: {"source": "live", "rows": [{"at": "2026-02-01T00:00:00Z", "load": rng.random()}]}),
        "preview, 500 series": ("/api/rules/preview", lambda: {"source": "wide", "changes": limits(), "days": 7}),
        "preview, 1 series": ("/api/rules/preview", lambda: {"source": "live", "changes": limits(), "days": 7}),
        "configure, not written": ("/api/configure", lambda: {"source": "live", "changes": limits()}),
    }
    for name, (address, body) in asked.items():
        times, first = list[float](), 0.0
        for number in range(9):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
            begun = time.perf_counter()
            connection.request("POST", address, json.dumps(body()), headers | {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = answer.read()
            took = 1000 * (time.perf_counter() - begun)
            first = first or took
            times += [took] if number else []
            if answer.status != 200:
                print(f"{name}: {answer.status} {told[:300]!r}")
                break
        else:
            print(f"{name:24} first {first:8.0f} ms, then median {sorted(times)[4]:8.0f} ms, worst {max(times):8.0f} ms", flush=True)


def listen(port: int, headers: dict[str, str], told: list[int], is_over: threading.Event) -> None:
    """Keeps the numbers of all events; comes back where the connection is lost."""
    last = ""
    while not is_over.is_set():
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/api/stream/anomalies", headers=headers | ({"Last-Event-ID": last} if last else {}))
            answer, number, has_data = connection.getresponse(), "", False
            while line := answer.readline().decode().rstrip("\n"):
                break
            while not is_over.is_set():
                line = answer.readline()
                if not line:
                    break
                text = line.decode().rstrip("\n")
                number = text[4:] if text.startswith("id: ") else number
                has_data = has_data or text.startswith("data: ")
                if not text:
                    if number:
                        last = number
                        if has_data:
                            told.append(int(number))
                    number, has_data = "", False
        except OSError:
            time.sleep(0.3)


def start_server(home: Path, port: int) -> subprocess.Popen[bytes]:
    variables = {name: value for name, value in os.environ.items() if name not in UNSET} | {"SMARTFLOW_HOME": str(home)}
    process = subprocess.Popen([SMARTFLOW, "serve", "--port", str(port), "--rate", "0"], env=variables, stderr=subprocess.DEVNULL)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process
        except OSError:
            time.sleep(0.1)


def taken(process: subprocess.Popen[bytes], seconds: float) -> str:
    """What the server takes in so many seconds in which it is left alone."""
    tree = psutil.Process(process.pid)
    before = tree.cpu_times()
    time.sleep(seconds)
    after = tree.cpu_times()
    cpu = after.user + after.system - before.user - before.system
    children = sum(each.memory_info().rss for each in tree.children(recursive=True)) / 2**20
    return f"{tree.memory_info().rss / 2**20:.0f} MiB, {100 * cpu / seconds:.1f} % of a core; processes beside it {children:.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--listeners", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smartflow-serve-") as folder:
        home, length = Path(folder), 2_000
        clock = homes.many_series(home, arguments.points // length, length)
        first = measure(home, "run", "wide", "--as-of", clock.isoformat())
        print(f"home of {arguments.points} points: {first.wall_seconds:.0f} s, exit code {first.exit_code}", flush=True)
        (home / "data/sources/live.yaml").write_text(LIVE)
        token = subprocess.run(
            [SMARTFLOW, "serve", "token", "create", "bench", "--role", "admin"],
            env=os.environ | {"SMARTFLOW_HOME": str(home)}, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        headers, port = {"Authorization": f"Bearer {token}"}, 8765
        server = start_server(home, port)
        start = homes.START.isoformat()
        print(f"idle, just started: {taken(server, 20)}", flush=True)

        def send(rows: list[dict[str, object]]) -> dict[str, object]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request(
                "POST", "/api/submit", json.dumps({"source": "live", "rows": rows}), headers | {"Content-Type": "application/json"}
            )
            told = json.loads(connection.getresponse().read())
            while True:
                connection.request("GET", told["status_url"], headers=headers)
                answer = json.loads(connection.getresponse().read())
                if answer["state"] in ("done", "failed"):
                    return answer
                time.sleep(0.2)

        def row(number: int, load: float) -> dict[str, object]:
            return {"at": f"{homes.START + timedelta(minutes=5 * number):%Y-%m-%dT%H:%M:%SZ}", "load": load}

        rng = random.Random(0)
        print(
            "first rows:",
            {
                k: v
                for k, v in send([row(n, 500 + rng.random() * 20) for n in range(864)]).items()
                if k in ("state", "stored_count", "error")
            },
        )
        is_over, written = threading.Event(), [0]

        def write() -> None:
            while not is_over.is_set():
                send([row(864 + written[0], 500 + rng.random() * 20)])
                written[0] += 1

        writer = threading.Thread(target=write)
        writer.start()
        for name in questions(start):
            print(f"{name:22} {clients(port, name, start, arguments.seconds, arguments.clients, headers)}", flush=True)
        is_over.set()
        writer.join()
        print(f"meanwhile {written[0]} runs wrote and published", flush=True)

        worked_out(port, headers, rng)

        over, told = threading.Event(), [list[int]() for _ in range(arguments.listeners)]
        for each in told:
            threading.Thread(target=listen, args=(port, headers, each, over), daemon=True).start()
        time.sleep(3)
        number = 864 + written[0]
        for round_ in range(4):
            send([row(number + 2 * round_, 4000.0), row(number + 2 * round_ + 1, 500.0)])
            if round_ == 1:
                server.send_signal(signal.SIGKILL)
                server.wait()
                server = start_server(home, port)
        time.sleep(5)
        over.set()
        longest = max(told, key=len)
        same = sum(each == longest for each in told)
        is_once, is_ordered = all(len(each) == len(set(each)) for each in told), all(each == sorted(each) for each in told)
        print(
            f"{arguments.listeners} listeners, the server killed and started again meanwhile: {same} heard the same {len(longest)} events, "
            f"each once: {is_once}, in order: {is_ordered}"
        )
        time.sleep(5)
        over, told = threading.Event(), [list[int]() for _ in range(10)]
        for each in told:
            threading.Thread(target=listen, args=(port, headers, each, over), daemon=True).start()
        time.sleep(2)
        print(f"ten streams are open: {taken(server, 20)}", flush=True)
        over.set()
        server.send_signal(signal.SIGTERM)
        print(f"ended with {server.wait()}")


if __name__ == "__main__":
    main()
