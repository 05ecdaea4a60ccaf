"""A change of a YAML is written as a whole, or not at all."""

import stat
from pathlib import Path

import pytest

from smartflow_assets.config.catalogue import Catalogue
from smartflow_assets.config.configuration_edit import proposed
from smartflow_assets.config.settings import Settings
from smartflow_assets.core.errors import SourceError
from smartflow_assets.stages.configuration_changes import LostUpdate, write

YAML = """\
name: shop
read: {type: csv, path: shop.csv, time: at}   # by night
rules: [{type: threshold, above: 100}]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(tmp_path)
    made.sources.mkdir(parents=True)
    (made.sources / "shop.yaml").write_text(YAML)
    return made


def test_writing_keeps_rights_and_links_and_is_refused_after_somebody_elses(settings, tmp_path):
    file, catalogue = settings.sources / "shop.yaml", Catalogue.load(settings)
    target = tmp_path / "checkout.yaml"
    file.rename(target)
    file.symlink_to(target)
    target.chmod(0o640)
    before = proposed(settings, catalogue, "shop", {"sensitivity": "high"})
    done = write(settings, catalogue, "shop", {"sensitivity": "high"}, before.hash)
    assert file.is_symlink() and stat.S_IMODE(target.stat().st_mode) == 0o640
    assert target.read_text() == done.after == before.after and Catalogue.load(settings).source("shop").sensitivity == "high"
    with pytest.raises(LostUpdate):
        write(settings, catalogue, "shop", {"sensitivity": "low"}, before.hash)
    assert target.read_text() == before.after
    assert write(settings, catalogue, "shop", {"sensitivity": "low"}, done.hash_after).is_change


def test_what_is_refused_leaves_the_file_as_it_is(settings):
    for changes in ({"sensitivity": "high", "rules.0.above": "many"}, {"sensitivity": "high", "read.path": "/etc/passwd"}):
        with pytest.raises(SourceError):
            write(settings, Catalogue.load(settings), "shop", changes)
    assert (settings.sources / "shop.yaml").read_text() == YAML
    assert [each.name for each in settings.sources.iterdir()] == ["shop.yaml"]
