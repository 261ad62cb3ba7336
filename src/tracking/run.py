"""One training's run: found by its identity and params, or made; what it is called and where it comes from."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.entities import Dataset, DatasetInput, InputTag, Param, RunTag
from mlflow.entities import Run as Entity
from mlflow.exceptions import MlflowException

from src import identity
from src.core.files import RAW
from src.params import Params
from src.tracking import connection
from src.tracking.connection import QUICK, Limits, StoreError

KEY = "identity"  # a tag: the key of the train stage's
NOTE = "mlflow.note.content"  # a tag: the description
# Stages whose params a model comes from.
TRAINED = ("download", "split", "usable", "segmentation", "preprocess", "train")


class Run:
    """The MLflow run of a training; made when there is none, also when it was deleted in the meantime.

    Params that only evaluate reads are tags, since one model can be evaluated again, and MLflow's params are for ever.

    Args:
        params: all of params.yaml.
        key: of the train stage's identity.

    Raises:
        StoreError: as every method does: the store does not take it.
    """

    def __init__(self, params: Params, key: str):
        self.params, self.key = params, key
        self.id = ""
        self.experiment = ""
        names = {name for stage in TRAINED for name in identity.listed_params(stage)["params.yaml"]}
        values = params.model_dump(mode="json")
        if labels := values["layout"]["labels"]:  # names of other people's folders, which MLflow need not take
            values["layout"]["labels"] = json.dumps(labels)
        self._trained = _text({name: value for name, value in values.items() if name in names})
        self._evaluated = _text({name: value for name, value in values.items() if name not in names})
        try:
            with self.alone() as entity:
                if entity.info.status != "RUNNING":
                    self.client.update_run(self.id, status="RUNNING")
                self.tag(entity, _provenance())
        except StoreError:
            with suppress(StoreError):
                self.finish("FAILED")
            raise

    @contextmanager
    def alone(self, limits: Limits = QUICK) -> Iterator[Entity]:
        """Gives the run as it is; until the block ends no other process of this repository logs it."""
        with connection.talking(limits) as self.store, connection.alone(self.key, limits):
            self.client = connection.client(self.store, limits)
            yield self.entity()

    def entity(self) -> Entity:
        """The run as the store has it; a new one, and so another `id`, when the store has none. Call it `alone`."""
        entity = self._search() if self.experiment else None
        if entity is None:
            self.experiment = connection.experiment(self.store, self.client)
            entity = self._search() or self._created()
        self.id = entity.info.run_id
        # A kill can come between a run and its params, and between these and its data.
        lacking = [Param(name, value) for name, value in self._trained.items() if name not in entity.data.params]
        self.client.log_batch(self.id, params=lacking)
        if not (entity.inputs and entity.inputs.dataset_inputs):
            self._name_data()
        return entity

    def _name_data(self) -> None:
        inputs = [DatasetInput(self.data, [InputTag("mlflow.data.context", "training")])]
        try:
            self.client.log_inputs(self.id, inputs)
        except MlflowException:  # of another training that named the same data at this moment: now MLflow finds it
            self.client.log_inputs(self.id, inputs)

    @property
    def data(self) -> Dataset:
        """Names the data, by the hash of raw.zip, which is elsewhere; MLflow gets none of it."""
        found = _preprocessed()
        return Dataset(
            name=f"{self.params.dataset} {self.params.source}",
            digest=found["data_sha256"][:8],
            source_type="local",
            source=json.dumps({"uri": RAW.as_posix(), "sha256": found["data_sha256"]}),
            profile=json.dumps({"num_rows": found["images"], "labels": list(self.params.data.labels)}),
        )

    def tag(self, entity: Entity, tags: dict[str, str]) -> None:
        """Sets those that the run lacks or has with another value."""
        lacking = [RunTag(name, value) for name, value in tags.items() if entity.data.tags.get(name) != value]
        self.client.log_batch(self.id, tags=lacking)

    def describe(self, scored: dict[str, Any]) -> None:
        """Says with which params that only evaluate reads it was evaluated last, and how it did: metrics/eval.json."""
        tags = dict(self._evaluated)
        with self.alone() as entity:
            if entity.data.tags.get(NOTE, "") in ("", self._description()):  # not what somebody has written
                tags[NOTE] = self._description(scored)
            self.tag(entity, tags)

    def replace(self) -> Entity:
        """Another run in its place; a metric that MLflow has cannot be taken back. Call it `alone`."""
        self.client.delete_run(self.id)
        return self.entity()

    def finish(self, status: str = "FINISHED") -> None:
        """Says how the run ended, if there is one."""
        if self.id:
            with connection.talking() as store:
                connection.client(store).set_terminated(self.id, status)

    def _search(self) -> Entity | None:
        """The same training may come of other params too: of a split that makes the same manifest, say."""
        for entity in self.client.search_runs([self.experiment], f"tags.{KEY} = '{self.key}'"):
            if all(self._trained.get(name) == value for name, value in entity.data.params.items()):
                return entity
        return None

    def _created(self) -> Entity:
        p = self.params
        name = os.environ.get("DVC_EXP_NAME", f"{p.dataset} conv{p.conv_layers} seed{p.seed}")
        tags = {KEY: self.key, NOTE: self._description()} | _source() | _provenance()
        return self.client.create_run(self.experiment, run_name=name, tags=tags)

    def _description(self, scored: dict[str, Any] | None = None) -> str:
        p = self.params
        trained = f"{p.conv_layers} convolutional layers on {p.dataset} ({p.source}), {p.epochs} epochs, seed {p.seed}."
        if scored is None:
            return f"{trained}\n\nNot evaluated yet."
        return (
            f"{trained}\n\n{scored['accuracy']:.1%} of the {scored['images']} {scored['split']} images are right; "
            f"always the commonest label would be {scored['majority_baseline']:.1%}."
        )


def flat(nested: dict[str, Any], separator: str) -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}"""
    (row,) = pd.json_normalize(nested, sep=separator).to_dict("records")
    return {str(name): value for name, value in row.items()}


def _text(values: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in flat(values, ".").items()}


def _source() -> dict[str, str]:
    """What began the training: DVC names its root to every stage that it runs."""
    command = "python -m src.train"
    if "DVC_ROOT" in os.environ:
        command = "dvc exp run" if "DVC_EXP_NAME" in os.environ else "dvc repro"
    return {"mlflow.source.name": command, "mlflow.source.type": "LOCAL"}


def _preprocessed() -> dict[str, Any]:
    return json.loads(Path("metrics/preprocess.json").read_text(encoding="utf-8"))


def _provenance() -> dict[str, str]:
    """Which commit, which DVC experiment, which data."""
    tags = {"data_sha256": _preprocessed()["data_sha256"]}
    commit = os.environ.get("DVC_EXP_BASELINE_REV") or _head()
    if commit:
        tags["mlflow.source.git.commit"] = commit
    if "DVC_EXP_NAME" in os.environ:
        tags["dvc_experiment"] = os.environ["DVC_EXP_NAME"]
    return tags


def _head() -> str:
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return git.stdout.strip() if git.returncode == 0 else ""
