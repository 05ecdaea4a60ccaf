import shutil

import pytest

from smartflow_assets.serve.submissions.ledger import SubmissionLedger
from smartflow_assets_tests.homes import Home
from smartflow_assets_tests.serve.served import LIVE, filled, service_of, serving


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory):
    """Made once; who changes it takes a copy, `home`."""
    return filled(tmp_path_factory.mktemp("served"))


@pytest.fixture
def home(filled_home, tmp_path):
    shutil.copytree(filled_home.folder, tmp_path / "home")
    return Home(tmp_path / "home")


@pytest.fixture(scope="module")
def client(filled_home):
    """A server that is only asked."""
    with serving(service_of(filled_home)) as asked:
        yield asked


@pytest.fixture
def ledger(tmp_path):
    return SubmissionLedger(tmp_path / "serve/submissions.sqlite")


@pytest.fixture
def live(tmp_path):
    """A home with one source, which reads what is sent."""
    home = Home(tmp_path / "live")
    home.write_source("live", LIVE)
    return home
