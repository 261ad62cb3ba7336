"""The report's claims: each a rule in words, and the parts that decide it, as data.

What a claim says, and where in the report, is in published.yaml; rules.py says how a verdict comes about. The numbers
come from the finished cells alone. Accuracies are means of ten epochs, the last ones unless their end is named: no best
epoch is ever picked. Where the report gives a number, a bound lies five points on either side of it, as it rounds.
"""

from src.report.rules import (
    AboveChance,
    Claim,
    Comparison,
    LargerImages,
    LargestChange,
    LeadOnTestFolder,
    RisingCost,
    Within,
)
from src.report.selection import (
    CLEANED,
    SET_1,
    SET_1_END,
    SET_2,
    SET_3,
    SHARES,
    VALIDATION,
    Accuracy,
    Configuration,
    Runs,
    costs,
    depths,
)
from src.report.statistics import Estimate, Measured, number

HUMAN = 0.65  # people's accuracy on FER-2013, ± 0.05: Goodfellow et al., "Challenges in representation learning", 2013
LAST = 100  # the epoch with which the report's longest run ends
ONE_LAYER, TWO_LAYERS, THREE_LAYERS = (depths(SET_1)[layers].validation(SET_1_END) for layers in (1, 2, 3))
TRAINING_1, VALIDATION_1, LEAD_1 = SET_1.training(SET_1_END), SET_1.validation(SET_1_END), SET_1.lead(SET_1_END)
NO_DROPOUT = Configuration("ai", varied={"model.dropout": 0.0})
TRAIN_FOLDER = Configuration("ai2", varied={"split.policy": "train_folder"})
HYPERPARAMETERS = {
    "train.learning_rate": (0.0003, 0.003),
    "batch_size": (16, 64),
    "model.dense_units": (256, 1024),
    "augmentation.zoom": (0.0, 0.4),
}


def highest_epoch_of_set_2(runs: Runs) -> str:
    """A note to the claim about set 2."""
    group = runs.of(SET_2)
    return f"highest single epoch: {number(group.curve(VALIDATION).max() if group else float('nan'))}"


def _above_0(differences: dict[str, tuple[Accuracy, Accuracy]]) -> tuple[Comparison, ...]:
    return tuple(Comparison(label, Measured.difference, pair, Within(above=0)) for label, pair in differences.items())


CLAIMS = {
    "C1": Claim(
        "three layers minus two is above 0, and the gain of three over one lies between 30 and 45 %",
        (
            Comparison("three minus two", Measured.difference, (THREE_LAYERS, TWO_LAYERS), Within(above=0)),
            Comparison(
                "three over one", Measured.gain, (THREE_LAYERS, ONE_LAYER), Within(0.30, 0.45), Estimate.percent
            ),
        ),
    ),
    "C2": Claim(
        "the same images at the largest size minus 48 pixels, with the most layers that ran (three do not fit 24 "
        "pixels), lies between 0.13 and 0.23",
        (LargerImages(48, Within(0.13, 0.23)),),
    ),
    "C3": Claim(
        "training accuracy of set 2 is above those of sets 1 and 3, and validation accuracy is below theirs: four "
        "differences above 0",
        _above_0(
            {
                "training, set 2 minus set 1": (SET_2.training(), TRAINING_1),
                "validation, set 1 minus set 2": (VALIDATION_1, SET_2.validation()),
                "training, set 2 minus set 3": (SET_2.training(), SET_3.training()),
                "validation, set 3 minus set 2": (SET_3.validation(), SET_2.validation()),
            }
        ),
    ),
    "C4": Claim(
        "validation accuracy of set 3 is above those of sets 1 and 2, and validation minus training too, which is the "
        "gap: four differences above 0",
        _above_0(
            {
                "validation, set 3 minus set 1": (SET_3.validation(), VALIDATION_1),
                "validation, set 3 minus set 2": (SET_3.validation(), SET_2.validation()),
                "gap, set 3 minus set 1": (SET_3.lead(), LEAD_1),
                "gap, set 3 minus set 2": (SET_3.lead(), SET_2.lead()),
            }
        ),
    ),
    "C5": Claim(
        "the largest change by one hyperparameter at a time is above 0.05, and above 5 % of the default's accuracy: "
        "the report does not say which it means, so both have to hold, and neither if it does not",
        (
            LargestChange("in points", Measured.difference, VALIDATION_1, HYPERPARAMETERS, 0.05),
            LargestChange("relative", Measured.gain, VALIDATION_1, HYPERPARAMETERS, 0.05, Estimate.percent),
        ),
        readings=True,
    ),
    "C6": Claim(
        "with dropout minus without is above 0; that its cost is low is not in question, it has no weights",
        (
            Comparison(
                "with minus without", Measured.difference, (VALIDATION_1, NO_DROPOUT.validation()), Within(above=0)
            ),
        ),
    ),
    "C7": Claim(
        "epochs 91 to 100 minus 41 to 50: training accuracy is above 0, and validation accuracy gains less than 0.005",
        (
            Comparison("validation", Measured.mean, (SET_1.validation(LAST, since=SET_1_END),), Within(below=0.005)),
            Comparison("training", Measured.mean, (SET_1.training(LAST, since=SET_1_END),), Within(above=0)),
        ),
    ),
    "C8": Claim(
        "one more run is above 2 times the better of 1/k and the majority class",
        (AboveChance(VALIDATION_1, 2),),
    ),
    "C9": Claim(
        "quantity: all training images minus half of them is above 0.01; quality: training on straightened faces, "
        "without unusable ones and probably wrong labels, minus on the images as they are, is above 0.01",
        (
            Comparison(
                "all minus half", Measured.difference, (VALIDATION_1, SHARES[0.5].validation()), Within(above=0.01)
            ),
            Comparison(
                "cleaned minus as they are",
                Measured.difference,
                (CLEANED["these three, by segmentation"].validation(), CLEANED["as they are"].validation()),
                Within(above=0.01),
            ),
        ),
    ),
    "C10": Claim(
        "multiplications an image and seconds an epoch rise from one layer to two and to three, for each reading of "
        "what the report leaves open that was timed; does not hold when they rise for none",
        (RisingCost(costs, SET_1.dataset),),
    ),
    "C11": Claim(
        "one more run is below 0.6",
        (Comparison("", Measured.one_more, (SET_2.validation(),), Within(below=0.6)),),
        note=highest_epoch_of_set_2,
    ),
    "C12": Claim(
        f"one more run on set 1 is below {HUMAN}, what people reach on FER-2013",
        (Comparison("", Measured.one_more, (VALIDATION_1,), Within(below=HUMAN)),),
    ),
    "C13": Claim(
        "validation minus training accuracy, +0.0746 in the report, of one more run that validates on the test folder: "
        "holds when it is above 0, does not hold when it is below 0 and that of a run that validates on the train "
        "folder is above 0",
        (LeadOnTestFolder(SET_3, TRAIN_FOLDER),),
    ),
}
