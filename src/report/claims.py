"""The report's claims: each a rule in words, and the parts that decide it, as data.

What a claim says, and where in the report, is in published.yaml. The numbers come from the finished cells alone.
Differences are paired by seed and have a 95 % interval (Student's t). Accuracies are means of ten epochs, the last ones
unless their end is named: no best epoch is ever picked.
"""

from functools import partial

import pandas as pd

from src.report.rules import (
    Claim,
    Comparison,
    Finding,
    Reaches,
    Within,
    above_chance,
    larger_images,
    largest_change,
    lead_in_every_run,
    more_images,
    rising_operations,
)
from src.report.selection import FEWER_IMAGES, SET_1, SET_1_LONG, SET_2, SET_3_SHORT, VALIDATION, Configuration, depths
from src.report.statistics import Interval, number, prediction_interval, relative_gain

HUMAN = 0.65  # people's accuracy on FER-2013, ± 0.05: Goodfellow et al., "Challenges in representation learning", 2013
ONE_LAYER, TWO_LAYERS, THREE_LAYERS, _ = depths(SET_1).values()
EPOCH_10 = {"end": 10, "epochs": 1}
NO_DROPOUT = Configuration("ai", varied={"model.dropout": 0.0})
HYPERPARAMETERS = ("train.learning_rate", "batch_size", "model.dense_units", "augmentation.zoom")
TRAIN_AND_TEST_FOLDER = [
    tuple(Configuration("ai2", varied={"epochs": epochs} | folder) for folder in ({"split.policy": "train_folder"}, {}))
    for epochs in (30, 10)
]


def time_of_dropout(rows: pd.DataFrame) -> str:
    """A note to the claim about dropout."""
    ratio = SET_1.runs(rows)["seconds_per_epoch"].mean() / NO_DROPOUT.runs(rows)["seconds_per_epoch"].mean()
    return f"time of an epoch, with over without: {number(ratio, '.2f')}"


def highest_epoch_of_set_2(rows: pd.DataFrame) -> str:
    """A note to the claim about set 2."""
    return f"highest single epoch: {number(max(map(max, SET_2.runs(rows)[VALIDATION]), default=float('nan')))}"


CLAIMS = {
    "C1": Claim(
        "three layers minus two is above 0, and the interval of the relative gain of three over one reaches 35 to 40 % "
        "and not 0",
        Comparison("three minus two", (THREE_LAYERS.validation(), TWO_LAYERS.validation()), Within(above=0)),
        Comparison(
            "three over one",
            (THREE_LAYERS.validation(), ONE_LAYER.validation()),
            Reaches(0.35, 0.40),
            relative_gain,
            Interval.percent,
        ),
    ),
    "C2": Claim(
        "the same images at the largest size minus 48 pixels, with the most layers that ran (three do not fit 24 "
        "pixels): the interval contains 0.18 and not 0",
        partial(larger_images, than=48, needed=Reaches(0.18, 0.18)),
    ),
    "C3": Claim(
        "training accuracy of set 2 minus set 1 is above 0, and validation accuracy of set 1 minus set 2 too",
        Comparison("training, set 2 minus set 1", (SET_2.training(), SET_1.training()), Within(above=0)),
        Comparison("validation, set 1 minus set 2", (SET_1.validation(), SET_2.validation()), Within(above=0)),
    ),
    "C4": Claim(
        "at epoch 10 validation accuracy of set 3 minus set 1 is above 0, and so is the gap between training and "
        "validation of set 1 minus that of set 3",
        Comparison("validation", (SET_3_SHORT.validation(**EPOCH_10), SET_1.validation(**EPOCH_10)), Within(above=0)),
        # The gap is smaller where validation minus training is higher.
        Comparison("gap", (SET_3_SHORT.lead(**EPOCH_10), SET_1.lead(**EPOCH_10)), Within(above=0)),
    ),
    "C5": Claim(
        "the largest change of one hyperparameter at a time is at least 0.05 (five points), beyond what another seed "
        "would do",
        partial(largest_change, default=SET_1, params=HYPERPARAMETERS, needed=Within(above=0.05)),
    ),
    "C6": Claim(
        "with dropout minus without is above 0; that its cost is low is not in question, it has no weights",
        Comparison("with minus without", (SET_1.validation(), NO_DROPOUT.validation()), Within(above=0)),
        note=time_of_dropout,
    ),
    "C7": Claim(
        "epochs 91 to 100 minus 41 to 50: training accuracy is above 0, and validation accuracy gains less than 0.005",
        Comparison("validation", (SET_1_LONG.validation(end=100), SET_1_LONG.validation(end=50)), Within(below=0.005)),
        Comparison("training", (SET_1_LONG.training(end=100), SET_1_LONG.training(end=50)), Within(above=0)),
    ),
    "C8": Claim(
        "the prediction interval for one more run is above twice the better of 1/k and the majority class",
        partial(above_chance, configuration=SET_1, times=2),
    ),
    "C9": Claim(
        "all training images minus the smallest share of them is above 0 (quantity; quality was not varied)",
        partial(more_images, all_images=SET_1, shares=FEWER_IMAGES, needed=Within(above=0)),
    ),
    "C10": Claim("operations per image rise with every layer", partial(rising_operations, depths=depths(SET_1))),
    "C11": Claim(
        "the prediction interval for one more run is below 0.6",
        Comparison("", (SET_2.validation(),), Within(below=0.6), prediction_interval),
        note=highest_epoch_of_set_2,
    ),
    "C12": Claim(
        f"the prediction interval for one more run on set 1 is below {HUMAN}, what people reach on FER-2013",
        Comparison("", (SET_1.validation(),), Within(below=HUMAN), prediction_interval),
    ),
    "C13": Claim(
        "validation minus training accuracy, +0.0746 in the report, in runs of 30 epochs or, without them, of 10: "
        "holds when it is above 0 in every run that validates on the test folder; does not hold when it is below 0 in "
        "all of these and above 0 in every run that validates on the train folder",
        partial(lead_in_every_run, pairs=TRAIN_AND_TEST_FOLDER),
    ),
}


def findings(rows: pd.DataFrame) -> dict[str, Finding]:
    """What each claim comes to, in the order of published.yaml."""
    return {name: claim.finding(rows) for name, claim in CLAIMS.items()}
