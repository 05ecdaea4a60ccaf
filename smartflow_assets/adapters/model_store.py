"""Fitted models on disk: JSON, safetensors and skops files, never pickle, so that a model file cannot run code.

One artefact per training of a source is a folder `<source>/<model_id>` with one hash over all its files. It is written
under a temporary name and renamed, so that a killed run leaves no half model; the hash is verified before anything is
read. The table trained_models says which model is current; core takes models apart and puts them together.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar
from zipfile import ZIP_DEFLATED

import numpy as np
from safetensors.numpy import load_file, save_file

from smartflow_assets.core.errors import ModelError
from smartflow_assets.core.model_parts import ModelParts

FORMAT = 2
"""Raised when the files of an artefact change their meaning."""

TRUSTED: dict[str, tuple[str, ...]] = {
    "sklearn.ensemble._iforest.IsolationForest": ("sklearn.tree._tree.Tree",),
}
"""Which estimators may be stored, and which types beyond skops' own list each may hold.

A tree names its nodes by number, unchecked by scikit-learn, so a forged one could read foreign memory: it is trusted since
the hash is, which stands in the warehouse and not beside the file.
"""

Model = TypeVar("Model")
_MANIFEST, _ARRAYS = "manifest.json", "arrays.safetensors"
_ABANDONED_SECONDS = 3600  # a temporary folder this old is of a run that was killed; writing one takes seconds


@dataclass(frozen=True)
class Artefact:
    """Where a model lies, relative to the model folder, and what must hold before it is read again."""

    path: str
    sha256: str
    format: str
    versions: dict[str, str]

    @property
    def columns(self) -> dict[str, str]:
        """The columns of trained_models that name it."""
        return {"artefact": self.path, "sha256": self.sha256, "format": self.format, "versions": json.dumps(self.versions)}


class ModelStore:
    """The models of all sources below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, source: str, detector: str, model_id: str, parts: ModelParts) -> Artefact:
        """Write the model, replacing one of the same id. ModelError when a part is of a kind that is not stored."""
        target = self._inside(f"{source}/{model_id}", source)
        temporary = target.with_name(f".{model_id}.tmp-{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            versions = _write(temporary, detector, parts, source)
            sha256 = _hash(temporary)
            if target.exists():  # a folder cannot be renamed over a full one; nobody reads a model that is trained again
                shutil.rmtree(target)
            temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        kind = "skops" if parts.estimators else "json"
        return Artefact(f"{source}/{model_id}", sha256, f"{kind}/{FORMAT}", versions)

    def check(self, artefact: Artefact | Mapping[str, Any]) -> None:
        """Refuse with a ModelError what `restore` would refuse by the files alone, without building anything of them."""
        with self._readable(artefact):
            self._manifest(artefact)

    def load(self, artefact: Artefact | Mapping[str, Any]) -> ModelParts:
        """The parts of an artefact, or of a row of trained_models.

        ModelError when it is gone, was changed, or was made by a version that this one cannot read: train again then.
        """
        folder, manifest, refused = self._manifest(artefact)
        try:
            entries = manifest["estimators"].items()
            estimators = {name: _read_estimator(folder / entry["file"], entry["type"]) for name, entry in entries}
        except TypeError as error:  # skops names the types that are not trusted in its first line
            raise refused(f"cannot be trusted: {str(error).splitlines()[0]}") from error
        arrays = load_file(folder / _ARRAYS) if manifest["has_arrays"] else {}
        return ModelParts(manifest["parameters"], arrays, estimators)

    def _manifest(self, artefact: Artefact | Mapping[str, Any]) -> tuple[Path, dict[str, Any], Callable[[str], ModelError]]:
        """The folder of an artefact, what its files say of themselves, and what makes the error when they cannot be used."""
        row = artefact.columns if isinstance(artefact, Artefact) else artefact
        source = row["artefact"].split("/")[0]
        folder = self._inside(row["artefact"], source)

        def refused(what: str) -> ModelError:
            return ModelError(f"the stored model {what}", source=source, where=str(folder), remedy="It is trained again.")

        if not folder.is_dir():
            raise refused("is gone")
        if _hash(folder) != row["sha256"]:
            raise refused("is not the one that was trained: its hash differs")
        manifest = json.loads((folder / _MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise refused(f"has format {manifest['format']}, this version reads {FORMAT}")
        before, now = manifest["versions"].get("scikit-learn"), version("scikit-learn")
        if manifest["estimators"] and _minor(before) != _minor(now):
            raise refused(f"was trained with scikit-learn {before}, installed is {now}")
        strangers = {entry["type"] for entry in manifest["estimators"].values()} - set(TRUSTED)
        if strangers:
            raise refused(f"holds {', '.join(sorted(strangers))}, which is not trusted")
        return folder, manifest, refused

    def restore(self, artefact: Mapping[str, Any], build: Callable[[ModelParts], Model]) -> Model:
        """What `build` makes of the parts of an artefact. ModelError whatever it is that hinders."""
        with self._readable(artefact):
            return build(self.load(artefact))

    @contextmanager
    def _readable(self, artefact: Artefact | Mapping[str, Any]) -> Iterator[None]:
        """Each error inside as a ModelError: nobody can know in which ways the files of another version differ, and each of them ends in
        a training."""
        try:
            yield
        except (ModelError, MemoryError):
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:120]}"
            path = str((artefact.columns if isinstance(artefact, Artefact) else artefact)["artefact"])
            folder, source = str(self.folder / path), path.split("/")[0]
            what = f"the stored model cannot be read ({reason})"
            raise ModelError(what, source=source, where=folder, remedy="It is trained again.") from error

    def prune(self, source: str, *, keep: int, current: Collection[str] = ()) -> list[str]:
        """Delete all but the newest `keep` models of a source; those named in `current` stay. Returns the ids that went."""
        home = self._inside(source, source)
        if not home.is_dir():
            return []
        folders = [path for path in home.iterdir() if path.is_dir()]
        for path in folders:
            if path.name.startswith(".") and path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
        models = sorted((path for path in folders if not path.name.startswith(".")), key=lambda path: path.stat().st_mtime_ns)
        gone = [path for path in models[: max(0, len(models) - keep)] if path.name not in current]
        for path in gone:
            shutil.rmtree(path)
        return [path.name for path in gone]

    def remove(self, source: str) -> None:
        """Delete all models of a source."""
        shutil.rmtree(self._inside(source, source), ignore_errors=True)

    def _inside(self, path: str, source: str) -> Path:
        """The path below the model folder; ModelError for one that leads out of it."""
        full = (self.folder / path).resolve()
        if not full.is_relative_to(self.folder.resolve()) or full == self.folder.resolve():
            raise ModelError(f"{path!r} is not a place in the model folder", source=source, where=str(self.folder))
        return full


def _write(folder: Path, detector: str, parts: ModelParts, source: str) -> dict[str, str]:
    estimators = {}
    for number, (name, estimator) in enumerate(sorted(parts.estimators.items())):
        kind = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
        if kind not in TRUSTED:
            raise ModelError(
                f"estimator {name} is a {kind}, which is not stored",
                source=source,
                remedy="Add it to TRUSTED in adapters/model_store.py, with the types that it may hold.",
            )
        estimators[name] = {"file": f"{number}.skops", "type": kind}
        _write_estimator(folder / f"{number}.skops", estimator)
    arrays = {name: np.asarray(array, order="C") for name, array in parts.arrays.items()}  # safetensors reads memory as it lies there
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise ModelError(f"array {name} is of type {array.dtype}; only numbers are stored", source=source)
    if arrays:
        save_file(arrays, folder / _ARRAYS)
    versions = {name: version(name) for name in ("scikit-learn", "skops", "numpy")} if estimators else {"numpy": version("numpy")}
    manifest = {
        "format": FORMAT,
        "detector": detector,
        "versions": versions,
        "has_arrays": bool(arrays),
        "estimators": estimators,
        "parameters": dict(parts.parameters),
    }
    try:
        (folder / _MANIFEST).write_text(json.dumps(manifest))
    except TypeError as error:
        raise ModelError(f"a parameter of {detector} is not plain: {error}", source=source) from error
    return versions


def _write_estimator(path: Path, estimator: Any) -> None:
    import skops.io  # with scikit-learn 2 s and 100 MiB, which most models, having no estimator, never pay

    skops.io.dump(estimator, path, compression=ZIP_DEFLATED)


def _read_estimator(path: Path, kind: str) -> Any:
    import skops.io

    return skops.io.load(path, trusted=list(TRUSTED[kind]))  # raises on any other type, before it is built


def _hash(folder: Path) -> str:
    """One hash over names, sizes and contents of all files, in the order of their names."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{path.relative_to(folder).as_posix()} {digest}\n".encode())
    return total.hexdigest()


def _minor(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")[:2])
