"""Models on disk: what is saved comes back to the bit, and nothing that was changed or made elsewhere is read."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LinearRegression

from smartflow_assets.adapters import model_store
from smartflow_assets.adapters.model_store import Artefact, ModelStore
from smartflow_assets.core.errors import ModelError
from smartflow_assets.core.model_parts import ModelParts

ROWS = np.random.default_rng(1).normal(size=(200, 3))
PLAIN = ModelParts(
    parameters={"mean": 0.1 + 0.2, "none": None},
    arrays={
        "requests{region=eu}/file": np.array([1.5, np.nan]),
        "file": np.array([True, False]),
        "größe": np.float32(0.1),
        "across": np.arange(12.0).reshape(3, 4).T[::2],
        "backwards": np.arange(5, dtype=">i2")[::-1],
        "none": np.empty((0, 3)),
    },
)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture(scope="module")
def forest() -> IsolationForest:
    return IsolationForest(n_estimators=10, random_state=0).fit(ROWS)


def manifest_of(store: ModelStore, artefact: Artefact) -> Path:
    return store.folder / artefact.path / "manifest.json"


def change_manifest(store: ModelStore, artefact: Artefact, **changes: object) -> Artefact:
    """The artefact as another version would have written it: changed, with a hash that is right."""
    path = manifest_of(store, artefact)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return Artefact(artefact.path, model_store._hash(path.parent), artefact.format, artefact.versions)


def test_parameters_and_arrays_come_back_to_the_bit(store: ModelStore) -> None:
    back = store.load(store.save("web", "mad", "m1", PLAIN))
    assert back.parameters == PLAIN.parameters
    assert set(back.arrays) == set(PLAIN.arrays)
    for name, array in PLAIN.arrays.items():
        assert (back.arrays[name].shape, back.arrays[name].dtype.name) == (np.shape(array), array.dtype.name)
        np.testing.assert_array_equal(back.arrays[name], array)
        assert back.arrays[name].flags.writeable  # as when it was trained: kernels are compiled once for both


def test_one_hash_for_equal_models(store: ModelStore) -> None:
    turned = ModelParts(PLAIN.parameters, dict(reversed(PLAIN.arrays.items())))
    hashes = [store.save("web", "mad", f"m{number}", parts).sha256 for number, parts in enumerate((PLAIN, turned))]
    assert hashes[0] == hashes[1]


@pytest.mark.soak
def test_forest_scores_alike_after_storage(store: ModelStore, forest: IsolationForest) -> None:
    back = store.load(store.save("web", "isolation_forest", "m1", ModelParts(estimators={"requests": forest})))
    np.testing.assert_array_equal(back.estimators["requests"].score_samples(ROWS), forest.score_samples(ROWS))


def test_row_of_trained_models_loads_as_the_artefact_does(store: ModelStore) -> None:
    artefact = store.save("web", "mad", "m1", PLAIN)
    assert store.load(artefact.columns).parameters == PLAIN.parameters
    assert (artefact.path, artefact.format) == ("web/m1", "json/2")
    assert json.loads(artefact.columns["versions"]) == {"numpy": np.__version__}


def test_saving_again_replaces_and_leaves_nothing_behind(store: ModelStore) -> None:
    store.save("web", "mad", "m1", PLAIN)
    second = store.save("web", "mad", "m1", ModelParts({"mean": 2}))
    assert store.load(second).parameters == {"mean": 2}
    assert [path.name for path in (store.folder / "web").iterdir()] == ["m1"]


@pytest.mark.parametrize("file", ["manifest.json", "arrays.safetensors"])
def test_changed_file_is_refused(store: ModelStore, file: str) -> None:
    artefact = store.save("web", "mad", "m1", PLAIN)
    path = store.folder / artefact.path / file
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match="web: the stored model is not the one that was trained"):
        store.load(artefact)


def test_added_file_is_refused(store: ModelStore) -> None:
    artefact = store.save("web", "mad", "m1", PLAIN)
    (store.folder / artefact.path / "more.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="its hash differs"):
        store.load(artefact)


def test_lost_model_is_said(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="the stored model is gone"):
        store.load({"artefact": "web/m1", "sha256": "0"})


@pytest.mark.soak
def test_other_format_and_other_scikit_learn_are_refused(store: ModelStore, forest: IsolationForest) -> None:
    artefact = store.save("web", "isolation_forest", "m1", ModelParts(estimators={"a": forest}))
    older = json.loads(manifest_of(store, artefact).read_text())["versions"] | {"scikit-learn": "1.2.9"}
    with pytest.raises(ModelError, match=r"trained with scikit-learn 1\.2\.9, installed is .* It is trained again\."):
        store.load(change_manifest(store, artefact, versions=older))
    with pytest.raises(ModelError, match="has format 1, this version reads 2"):
        store.load(change_manifest(store, artefact, format=1))


def test_other_patch_release_of_scikit_learn_is_read(store: ModelStore, forest: IsolationForest) -> None:
    artefact = store.save("web", "isolation_forest", "m1", ModelParts(estimators={"a": forest}))
    versions = artefact.versions | {"scikit-learn": ".".join([*artefact.versions["scikit-learn"].split(".")[:2], "99"])}
    assert "a" in store.load(change_manifest(store, artefact, versions=versions)).estimators


def test_estimator_that_is_not_listed_is_neither_written_nor_read(
    store: ModelStore, forest: IsolationForest, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = LinearRegression().fit(ROWS[:, :1], ROWS[:, 1])
    with pytest.raises(ModelError, match=r"estimator a is a sklearn.linear_model._base.LinearRegression, which is not stored"):
        store.save("web", "line", "m1", ModelParts(estimators={"a": line}))
    assert list((store.folder / "web").iterdir()) == []
    artefact = store.save("web", "forest", "m1", ModelParts(estimators={"a": forest}))
    with monkeypatch.context() as patched:
        patched.setitem(model_store.TRUSTED, "sklearn.ensemble._iforest.IsolationForest", ())
        with pytest.raises(ModelError, match=r"cannot be trusted: Untrusted types found.*sklearn\.tree"):
            store.load(artefact)
    stranger = {"a": {"file": "0.skops", "type": "os.system"}}
    with pytest.raises(ModelError, match="which is not trusted"):
        store.load(change_manifest(store, artefact, estimators=stranger))


@pytest.mark.parametrize(
    "parts, reason",
    [
        (ModelParts(arrays={"a": np.array([object()])}), "array a is of type object; only numbers are stored"),
        (ModelParts(arrays={"a": np.array(["text"])}), "array a is of type <U4"),
        (ModelParts(arrays={"a": np.array(["2026-01-01"], "datetime64[us]")}), "array a is of type datetime64"),
        (ModelParts(arrays={"a": np.zeros(1, np.longdouble)}), "array a is of type float128"),
        (ModelParts({"a": {1, 2}}), "a parameter of mad is not plain"),
    ],
)
def test_parts_that_cannot_be_stored_are_named(store: ModelStore, parts: ModelParts, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        store.save("web", "mad", "m1", parts)


@pytest.mark.parametrize("path", ["../outside", "web/../../outside", "/etc", ""])
def test_path_that_leads_out_of_the_folder_is_refused(store: ModelStore, path: str) -> None:
    with pytest.raises(ModelError, match="is not a place in the model folder"):
        store.load({"artefact": path, "sha256": "0"})


def test_prune_keeps_the_newest_and_the_current(store: ModelStore) -> None:
    for number in range(5):
        artefact = store.save("web", "mad", f"m{number}", PLAIN)
        os.utime(store.folder / artefact.path, ns=(number * 10**9, number * 10**9))
    assert store.prune("web", keep=2, current=["m0"]) == ["m1", "m2"]
    assert sorted(path.name for path in (store.folder / "web").iterdir()) == ["m0", "m3", "m4"]
    assert store.prune("other", keep=2) == []


def test_prune_sweeps_what_a_killed_run_left(store: ModelStore) -> None:
    store.save("web", "mad", "m1", PLAIN)
    for name in (".old.tmp-1", ".new.tmp-2"):
        (store.folder / "web" / name).mkdir()
    os.utime(store.folder / "web" / ".old.tmp-1", (0, 0))
    store.prune("web", keep=1)
    assert sorted(path.name for path in (store.folder / "web").iterdir()) == [".new.tmp-2", "m1"]
