"""docs/serve.md: each curl of it, word for word, against a real server."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time

import pytest

from smartflow_assets_tests.docs.pages import DOCS, ROOT, blocks
from smartflow_assets_tests.receivers import free_port

PAGE = DOCS / "serve.md"
START = "from smartflow_assets.cli import main; main()"


@pytest.mark.soak
def test_each_call_of_the_guide_is_answered(tmp_path):
    home, port = tmp_path, free_port()
    shutil.copytree(ROOT / "data/examples", home / "data/examples")
    (home / "data/sources").mkdir()
    shutil.copy(ROOT / "data/sources/web_traffic.yaml", home / "data/sources")
    shutil.copy(ROOT / "data/defaults.yaml", home / "data")
    (home / "data/channels.yaml").write_text("file: {type: file}\nops_email: {type: file}\n")
    for block in blocks(PAGE):
        if block.path:
            (home / block.path).write_text(block.text)
    environment = os.environ | {"SMARTFLOW_HOME": str(home), "PYTHONPATH": str(ROOT)}
    smartflow = [sys.executable, "-c", START]
    subprocess.run([*smartflow, "run", "web_traffic", "--as-of", "2026-02-18T00:00"], env=environment, check=True, capture_output=True)
    made = subprocess.run(
        [*smartflow, "serve", "token", "create", "guide", "--role", "admin"], env=environment, check=True, capture_output=True, text=True
    )
    token = made.stdout.strip()
    server = subprocess.Popen([*smartflow, "serve", "--port", str(port)], env=environment)
    calls = [line for block in blocks(PAGE) if block.language == "curl" for line in block.text.splitlines()]
    assert len(calls) >= 20
    try:
        for _ in range(300):
            if subprocess.run(["curl", "-sf", f"http://127.0.0.1:{port}/ready"], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        for line in calls:
            asked = shlex.split(line.replace("$TOKEN", token).replace("127.0.0.1:8000", f"127.0.0.1:{port}"))
            told = subprocess.run([*asked, "-s", "-w", "\n%{http_code}"], capture_output=True, text=True, check=True)
            body, _, status = told.stdout.rpartition("\n")
            assert status in ("200", "202"), f"{line}\n{body}"
            if "/api/submit " in line:
                address = json.loads(body)["status_url"]
        for _ in range(600):
            asked = ["curl", "-s", "-H", f"Authorization: Bearer {token}", f"http://127.0.0.1:{port}{address}"]
            fate = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
            if fate["state"] in ("done", "failed"):
                break
            time.sleep(0.1)
        assert (fate["state"], fate["stored_count"], fate["error"]) == ("done", 2, None)
    finally:
        server.terminate()
        assert server.wait(20) == 0
