"""Secrets planted in readers and channels that fail: nothing that a home keeps may hold one, in whatever way it is written."""

import base64
import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import quote, quote_plus, urlsplit

import duckdb
import pytest

from smartflow_assets_tests.commands.conftest import SHOP, Smartflow
from smartflow_assets_tests.commands.conftest import smartflow as smartflow
from smartflow_assets_tests.receivers import free_port, hook_server, mail_server

SECRET = 'pl4nted/s3cr3t of "us"@x'
LINE = "root:$6$pl4nted-line$0123456789:19000:0:99999:7:::"  # of a file that was meant for other eyes
IN_PYTHON = "import os\nSECRET = os.environ['FEED_PASSWORD']\n"
FUNCTIONS = {  # bodies of the module after IN_PYTHON; each gives the function `rows`
    "raised": "def rows():\n    raise ValueError(f'no login with {SECRET}')\n",
    "raised_from": "def rows():\n    try:\n        raise KeyError(SECRET)\n    except KeyError as e:\n        raise OSError() from e\n",
    "raised_within": "def rows():\n    try:\n        raise KeyError(SECRET)\n    except KeyError:\n        raise OSError('no login')\n",
    "raised_late": "def rows():\n    yield {'ts': '2026-03-01', 'n': 1}\n    raise ConnectionError('ftp://me:' + SECRET + '@host')\n",
    "raised_quoted": "from urllib.parse import quote\ndef rows():\n    raise ValueError('?key=' + quote(SECRET, safe=''))\n",
    "raised_basic": "import base64\ndef rows():\n    raise ValueError('Basic ' + base64.b64encode(SECRET.encode()).decode())\n",
    "raised_json": "import json\ndef rows():\n    raise ValueError(json.dumps({'password': SECRET}))\n",
    "raised_group": "def rows():\n    raise ExceptionGroup('two', [ValueError(SECRET), KeyError(SECRET)])\n",
    "raised_exit": "def rows():\n    raise SystemExit(SECRET)\n",
    "raised_noted": "def rows():\n    error = ValueError('no login')\n    error.add_note(SECRET)\n    raise error\n",
    "raised_at_import": "raise RuntimeError(SECRET)\n",
    "raised_deep": "def rows():\n    def ask(password):\n        return int(password)\n    return [ask(SECRET)]\n",
    "named_twice": "import pandas as pd\ndef rows():\n    return pd.DataFrame([[1, 2]], columns=[SECRET, SECRET])\n",
    "needs_more": "def rows(*, password_that_nobody_gives):\n    return []\n",
    "cut_in_two": "def rows():\n    raise ValueError('x' * 290 + SECRET)\n",
}
PARAMETERS = 'parameters: {key: "${FEED_PASSWORD}"}'
HEADERS = 'headers: {Authorization: "Bearer ${FEED_PASSWORD}"}'
PAGES = {  # path: (status, headers, body); what is asked is put in for ASKED, which holds the secret
    "no_login": (401, {}, "who are you, ASKED"),
    "no_right": (403, {}, "not you, ASKED"),
    "nothing": (404, {}, "no ASKED"),
    "echo": (400, {}, "I do not like ASKED"),
    "echo_late": (422, {}, "y" * 285 + "ASKED"),
    "down": (500, {}, "Traceback … ASKED"),
    "page": (200, {"Content-Type": "text/html"}, "<html>ASKED</html>"),
    "no_json": (200, {"Content-Type": "application/json"}, '{"asked": "ASKED'),
    "no_list": (200, {"Content-Type": "application/json"}, '{"ASKED": 1}'),
    "no_column": (200, {"Content-Type": "text/csv"}, "ASKED\n1\n"),
    "no_gzip": (200, {"Content-Type": "text/csv"}, "\x1f\x8bASKED"),
    "away": (302, {"Location": "http://127.0.0.1:1/?ASKED"}, ""),
}
DATABASES = {
    "sql_file": 'url: "sqlite:///${FEED_PASSWORD}", table: orders',
    "sql_gone": 'url: "postgresql://shop:${FEED_PASSWORD}@127.0.0.1:PORT/shop", table: orders',
    "sql_whole": "url: '${FEED_URL}', table: orders",
    "sql_dialect": 'url: "${FEED_PASSWORD}://host/x", table: orders',
    "sql_query": "url: '${FEED_SQLITE}', query: \"SELECT no_such FROM nothing\"",
}
CHANNELS = """
file: {type: file}
login: {type: email, host: 127.0.0.1, port: MAIL, security: none, username: me, password: "${OPS_PASSWORD}", sender: a@b.de, to: [c@d.de]}
refused: {type: email, host: 127.0.0.1, port: OPEN, security: none, sender: a@b.de, to: [c@d.de]}
nobody: {type: email, host: 127.0.0.1, port: PORT, username: "${OPS_PASSWORD}", password: "${OPS_PASSWORD}", sender: a@b.de, to: [c@d.de]}
hook_down: {type: webhook, url: "http://127.0.0.1:HOOK/${OPS_PASSWORD}", secret: "${OPS_PASSWORD}"}
hook_gone: {type: webhook, url: "http://127.0.0.1:PORT/${OPS_PASSWORD}", headers: {Authorization: "${OPS_PASSWORD}"}}
hook_broken: {type: webhook, url: "${OPS_PASSWORD}"}
hook_header: {type: webhook, url: "http://127.0.0.1:HOOK/x", headers: {X-Key: "${OPS_LINES}"}}
chat: {type: slack, url: "${CHAT_URL}"}
pager: {type: pagerduty, routing_key: "${OPS_PASSWORD}", api: "http://127.0.0.1:HOOK"}
on_call: {type: opsgenie, api_key: "${OPS_PASSWORD}", api: "http://127.0.0.1:HOOK"}
phone: {type: ntfy, topic: "${OPS_PASSWORD}", server: "http://127.0.0.1:HOOK"}
sms: {type: apprise, url: "${ANY_URL}"}
"""
FEW = ("raised_from", "raised_late", "echo_late", "no_json", "sql_gone", "shadow")


def sources(folder: Path, server: str, port: int) -> Iterator[tuple[str, str]]:
    """(name, `read`) of every failing source."""
    for name, body in FUNCTIONS.items():
        (folder / f"planted_{name}.py").write_text(IN_PYTHON + body)
        yield name, f"{{type: python, function: 'planted_{name}:rows', time: ts}}"
    for place, name in enumerate(PAGES):
        keys = f"{PARAMETERS}, {HEADERS}" if place % 2 else PARAMETERS
        yield name, f"{{type: http, url: '{server}/{name}', {keys}, retries: 0, timeout: 5s, time: ts}}"
    for name, keys in DATABASES.items():
        yield name, f"{{type: sql, {keys.replace('PORT', str(port))}, time: ts}}"
    yield "shadow", "{type: inbox, time: ts}"
    yield "token", "{type: csv, path: feeds/token.csv, time: ts}"
    yield "torn", "{type: json, path: feeds/torn.json, time: ts}"


@pytest.mark.parametrize("names", [pytest.param((), id="all"), pytest.param(FEW, id="few")])
@pytest.mark.soak
def test_nothing_that_a_home_keeps_holds_a_secret_of_a_reader_or_channel_that_failed(
    smartflow: Smartflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: Sequence[str]
) -> None:
    home, lib, outside = tmp_path / "home", tmp_path / "lib", tmp_path / "outside"
    for folder in (home / "data/sources", home / "data/feeds", home / "data/inbox/shadow", lib, outside):
        folder.mkdir(parents=True)
    monkeypatch.chdir(home)
    monkeypatch.syspath_prepend(str(lib))
    port = free_port()
    given = {"FEED_PASSWORD": SECRET, "OPS_PASSWORD": SECRET, "OPS_LINES": f"{SECRET}\nX: y"}
    given |= {"FEED_URL": f"postgresql://shop:{quote(SECRET, safe='')}@127.0.0.1:{port}/shop"}
    given |= {"FEED_SQLITE": f"sqlite:///{SECRET.replace('/', '-')}.db"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    (home / "data" / given["FEED_SQLITE"].removeprefix("sqlite:///")).touch()
    (outside / "shadow").write_text(f"{LINE}\n{LINE}\n")
    (home / "data/inbox/shadow/link.csv").symlink_to(outside / "shadow")
    (home / "data/inbox/shadow/copied.csv").write_text(f"{LINE}\n{LINE}\n")
    (home / "data/feeds/token.csv").write_text(f"{LINE}\n")
    (home / "data/feeds/torn.json").write_text(f"[{LINE}")
    planted = {home / "data/inbox/shadow/copied.csv", home / "data/feeds/token.csv", home / "data/feeds/torn.json"}
    with echo_server() as server, hook_server() as hook, mail_server() as open_mail, mail_server(login=("me", "right")) as mail:
        hook.answers, hook.body = [(500, {"X-Said": SECRET})] * 5000, f"I know {SECRET} and {quote(SECRET, safe='')}".encode()
        monkeypatch.setenv("CHAT_URL", f"http://127.0.0.1:{hook.port}/{quote(SECRET, safe='')}")
        monkeypatch.setenv("ANY_URL", f"json://me:{quote(SECRET, safe='')}@127.0.0.1:{hook.port}/{quote(SECRET, safe='')}")
        open_mail.data_answer = f"554 I know {SECRET} by heart"
        ports = {"MAIL": mail.port, "OPEN": open_mail.port, "PORT": port, "HOOK": hook.port}
        text = CHANNELS
        for word, number in ports.items():
            text = text.replace(word, str(number)) if word != "PORT" else text.replace(" PORT", f" {number}").replace(":PORT", f":{number}")
        (home / "data/channels.yaml").write_text(text)
        channels = ", ".join(line.partition(":")[0] for line in text.strip().splitlines())
        made = {name: read for name, read in sources(lib, server, port) if not names or name in names}
        for name, read in made.items():
            source = SHOP.replace("name: shop", f"name: {name}").replace("{type: csv, path: feeds/shop.csv, time: ts}", read)
            (home / f"data/sources/{name}.yaml").write_text(source + f"alerts: {{to: [{channels}], max_age: 3650 days}}\n")
        answer = smartflow("run", "-v")
    assert answer.code == 1
    failed = {line.split()[0] for line in answer.out.splitlines() if line.split()[1:2] == ["failed"]}
    assert failed == set(made)
    assert len(made) + text.strip().count("\n") >= (len(FEW) if names else 40)
    tried = duckdb.connect(str(home / "data/warehouse/analyst.duckdb"), read_only=True)
    counts = dict(tried.execute("SELECT channel, count(*) FILTER (status = 'failed') FROM alert_sends GROUP BY channel").fetchall())
    assert all(count for name, count in counts.items() if name != "file"), counts
    assert len(counts) == 13
    found = [
        *hits(home, planted),
        *(("what was said", form) for form in forms() if form in answer.err + answer.out),
    ]
    assert found == []


def forms() -> list[str]:
    """The ways in which a secret may be written, and parts of it that no other text holds."""
    written = [SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET), json.dumps(SECRET)[1:-1], repr(SECRET)[1:-1]]
    return [*dict.fromkeys([*written, base64.b64encode(SECRET.encode()).decode(), "pl4nted/", "pl4nted%2F", "pl4nted-line"])]


def hits(home: Path, planted: set[Path]) -> Iterator[tuple[str, str]]:
    """Every file and table of the home that holds one; tables are read, since a database packs its texts."""
    for path in sorted(home.rglob("*")):
        if path.is_file() and not path.is_symlink() and path not in planted:
            content = path.read_bytes()
            yield from ((path.relative_to(home).as_posix(), form) for form in forms() if form.encode() in content)
    with duckdb.connect(str(home / "data/warehouse/analyst.duckdb"), read_only=True) as copy:
        for schema, name in copy.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
            text = str(copy.execute(f'SELECT CAST(t AS VARCHAR) FROM "{schema}"."{name}" AS t').fetchall())
            yield from ((f"{schema}.{name}", form) for form in forms() if form in text)


class echo_server:
    """Answers as PAGES says, and repeats in each answer what it was asked, as servers in development do."""

    def __enter__(self) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = PAGES[urlsplit(self.path).path.strip("/")]
                asked = f"{SECRET} {self.path} {self.headers.get('Authorization', '')}"
                content = body.replace("ASKED", asked).encode("latin-1", "replace")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value.replace("ASKED", quote(asked)))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def test_the_grep_finds_what_is_planted(tmp_path: Path) -> None:
    (tmp_path / "data/warehouse").mkdir(parents=True)
    with duckdb.connect(str(tmp_path / "data/warehouse/analyst.duckdb")) as made:
        made.execute("CREATE TABLE told AS SELECT ? AS error", [f"x {quote(SECRET, safe='')}"])
    (tmp_path / "a.log").write_text(f"{datetime.now(UTC)} {os.sep} {SECRET}")
    assert {place for place, _ in hits(tmp_path, set())} >= {"a.log", "main.told"}
