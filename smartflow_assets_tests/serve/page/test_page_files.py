"""The page's files as they lie there and as they are served."""

import hashlib
import re

import pytest

from smartflow_assets.serve.page_files import FOLDER

SCRIPTS = sorted(FOLDER.glob("*.js"))
HTML_FROM_TEXT = (
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\(.style|DOMParser|createContextualFragment"
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_module_opens_with_its_charter_and_makes_no_html_of_text(script):
    text = script.read_text()
    assert text.startswith("// ")
    assert not re.search(HTML_FROM_TEXT, text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)\w", text)
    assert len(text.splitlines()) <= 260


def test_the_html_has_nothing_inline_and_names_files_that_are_there():
    text = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*\ssrc=)", text)
    named = re.findall(r'(?:src|href)="([^"#]+)"', text)
    assert named and all((FOLDER / each).is_file() for each in named)


def test_every_import_is_of_a_file_that_is_there():
    for script in SCRIPTS:
        for name in re.findall(r'(?:from|import\()\s*"(\./[^"]+)"', script.read_text()):
            assert (FOLDER / name).is_file(), f"{script.name} imports {name}"


def test_the_vendored_library_is_the_one_that_its_readme_names():
    folder = FOLDER / "vendor/echarts"
    readme = (folder / "README.md").read_text()
    assert hashlib.sha256((folder / "echarts.min.js").read_bytes()).hexdigest() in readme
    assert all((folder / name).is_file() for name in ("LICENSE", "NOTICE", "licenses/LICENSE-d3"))


def test_files_are_compressed_asked_for_again_and_of_their_type(client):
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html") and "main.js" in page.text
    assert client.get("/main.js").headers["content-type"].startswith("text/javascript")
    library = client.get("/vendor/echarts/echarts.min.js")
    assert library.headers["content-encoding"] == "gzip" and library.headers["cache-control"] == "no-cache"
    again = client.get("/vendor/echarts/echarts.min.js", headers={"If-None-Match": library.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    assert client.get("/../app.py").status_code == 404 and client.get("/%2e%2e/app.py").status_code == 404


def test_series_are_found_by_a_part_of_their_name(client):
    def names(text: str) -> list[str]:
        return [each["series"] for each in client.get("/api/data/web", params={"q": text}).json()["series"]]

    assert names("QUEST") == ["requests"] and names("%") == names("nothing") == [] and names("") == ["requests"]
