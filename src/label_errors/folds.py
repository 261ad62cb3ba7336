"""What a network says to each training image that has not trained on it: out-of-fold probabilities."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from src import identity
from src.core import arrays, files
from src.core.files import RAW
from src.errors import UserError
from src.params import Params
from src.preprocess import decode
from src.split import duplicates
from src.train.checkpoint import Checkpoints


def divided(archive: Path, count: int, params: Params) -> pd.DataFrame:
    """The images of the train folder: member, sha256, label, group, and the fold (from 0) that holds them out.

    Duplicates and near-duplicates are in one fold, so that none is judged by a network that has seen its copy.

    Args:
        count: of folds.

    Raises:
        UserError: a label with fewer groups than there are folds.
    """
    table, hashes = duplicates.fingerprint(archive)
    table["group"] = duplicates.groups(table["sha256"], hashes, params.split.near_bits)
    table["label"] = table["member"].str.split("/").str[1]
    table = table[table["member"].str.startswith("train/")].reset_index(drop=True)
    if len(few := table.groupby("label")["group"].nunique().loc[lambda groups: groups < count]):
        raise UserError(f"--folds {count}: {few.index[0]} has only {few.iloc[0]} images that differ; take fewer folds")
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=params.seed)
    for fold, (_, held_out) in enumerate(folds.split(table, table["label"], table["group"])):
        table.loc[held_out, "fold"] = fold
    return table.astype({"fold": int})


def probabilities(table: pd.DataFrame, params: Params) -> pd.DataFrame:
    """One row per image of `table` that could be decoded: member, and the probability of each label.

    Each fold is held out from a network of its own, which trains on the others; a run that was stopped goes on from its
    checkpoints.
    """
    import tensorflow as tf

    from src.model import inputs
    from src.train.fit import fit

    tf.get_logger().setLevel("ERROR")  # it warns of one more model as if the same one were compiled again and again
    labels, keys, found = list(params.data.labels), _keys(table, params), []
    for fold, key in enumerate(keys):
        print(f"fold {fold + 1} of {len(keys)}")
        of_fold = table.assign(split=np.where(table["fold"] == fold, "validation", "train"))
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / "arrays"
            decode.write(written, RAW, of_fold, params)
            train, held_out = (arrays.load(written, split) for split in ("train", "validation"))
            index = pd.read_csv(written / "index.csv", dtype=str, keep_default_na=False)
            checkpoints = Checkpoints(key)
            with checkpoints.alone():
                chosen = params.model_copy(update={"seed": params.seed + fold})
                model, _ = fit(chosen, train, held_out, checkpoints, lambda history: None)
            said = model.predict(inputs.scoring(*held_out, len(labels)), verbose=0)
        members = index.loc[index["split"] == "validation", "member"]
        found.append(pd.DataFrame(said, columns=labels, index=members))
    return pd.concat(found).sort_index().reset_index()


def forget(table: pd.DataFrame, params: Params) -> None:
    """Deletes the checkpoints of `probabilities`, once their results are written."""
    for key in _keys(table, params):
        files.remove_checkpoints(key)


def _keys(table: pd.DataFrame, params: Params) -> list[str]:
    """One for each fold: of the training's code, libraries and params, and of who is in which fold."""
    trained = identity.of("train")
    division = hashlib.sha256(table.to_csv(index=False).encode()).hexdigest()
    chosen = trained._replace(params=trained.params | {"epochs": params.epochs})
    return [chosen._replace(inputs={division: str(fold)}).key for fold in range(table["fold"].max() + 1)]
