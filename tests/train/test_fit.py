"""Stopping and going on gives the bits of a run that was never stopped."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

from src import params
from src.errors import UserError
from src.train import batches, fit
from src.train.checkpoint import Checkpoints


class Stopped(Exception):
    pass


@pytest.fixture
def small_params():
    values = params.load().model_dump()
    values |= {"epochs": 4, "batch_size": 8}
    values["model"]["dense_units"] = 8
    return params.Params.model_validate(values)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return tuple(
        (rng.integers(0, 256, (n, 48, 48), np.uint8), rng.integers(0, 7, n).astype(np.uint8)) for n in (60, 20)
    )


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path / ".checkpoints"


def train(small_params, arrays, key, stop_after=None):
    seen = []

    def on_epoch(history):
        seen.append(len(history))
        if len(history) == stop_after:
            raise Stopped

    model, history = fit.fit(small_params, *arrays, Checkpoints(key), on_epoch)
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)], history, seen


def same(left, right):
    return len(left) == len(right) and all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


@pytest.fixture
def undisturbed(small_params, arrays):
    return train(small_params, arrays, "undisturbed")


OTHERS = ({"schedule": "one_cycle"}, {"precision": "mixed_bfloat16"})


@pytest.mark.parametrize("how", [{}, *(pytest.param(how, marks=pytest.mark.slow) for how in OTHERS)])
def test_a_stopped_run_goes_on_to_the_same_bits(small_params, arrays, how):
    chosen = small_params.model_copy(update={"train": params.Train(learning_rate=0.001, **how)})
    undisturbed = train(chosen, arrays, "undisturbed")
    with pytest.raises(Stopped):
        train(chosen, arrays, "c", stop_after=2)
    state, history, seen = train(chosen, arrays, "c")
    assert seen == [2, 3, 4]  # epochs 1 and 2 were not trained again
    assert history == undisturbed[1]
    assert same(state, undisturbed[0])


def test_one_cycle_goes_up_and_down_once_over_all_epochs(small_params):
    chosen = small_params.model_copy(update={"train": params.Train(learning_rate=0.01, schedule="one_cycle")})
    schedule = fit._learning_rate(chosen.train, steps=100)
    rates = [float(schedule(step)) for step in range(100)]
    assert rates[0] == pytest.approx(0.01 / 25)
    assert max(rates) == rates[30] == pytest.approx(0.01)
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert rates[-1] < 0.01 / 100
    assert fit._learning_rate(small_params.train, steps=100) == 0.001


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: b[:5000] + b"\0\0\0\0" + b[5004:], lambda b: b""])
def test_a_damaged_checkpoint_is_noticed_and_the_one_before_used(
    small_params, arrays, repository, undisturbed, damage, capsys
):
    with pytest.raises(Stopped):
        train(small_params, arrays, "c", stop_after=3)
    newest = max((repository / "c").iterdir())
    newest.write_bytes(damage(newest.read_bytes()))
    state, history, seen = train(small_params, arrays, "c")
    assert "epoch 3 is damaged" in capsys.readouterr().out
    assert seen == [2, 3, 4]
    assert history == undisturbed[1]
    assert same(state, undisturbed[0])


def test_checkpoints_are_bounded_in_number(small_params, arrays, repository):
    train(small_params, arrays, "c")
    assert sorted(path.name for path in (repository / "c").iterdir()) == ["000003", "000004"]


def test_a_checkpoint_of_another_experiment_is_not_used(small_params, arrays, repository, undisturbed, capsys):
    with pytest.raises(Stopped):
        train(small_params.model_copy(update={"seed": 2}), arrays, "another", stop_after=3)
    shutil.copytree(repository / "another", repository / "c")
    _, history, seen = train(small_params, arrays, "c")
    assert "belongs to another experiment" in capsys.readouterr().out
    assert seen == [1, 2, 3, 4]
    assert history == undisturbed[1]


def test_training_that_diverges_stops_and_keeps_the_last_good_epoch(small_params, arrays, repository):
    def chosen(rate):  # a schedule, since a constant rate comes back with the checkpoint
        return small_params.model_copy(update={"train": params.Train(learning_rate=rate, schedule="one_cycle")})

    with pytest.raises(Stopped):
        train(chosen(0.001), arrays, "c", stop_after=2)
    for _ in range(2):  # also when it is tried again
        with pytest.raises(UserError, match=r"diverged: .* in epoch 3; the checkpoint of epoch 2 is kept.*1e\+30"):
            train(chosen(1e30), arrays, "c")
    assert max((repository / "c").iterdir()).name == "000002"
    assert train(chosen(0.001), arrays, "c")[2] == [2, 3, 4]


def test_every_stopped_run_can_go_on_however_many_there_are(small_params, arrays, repository, capsys):
    (repository / "0").mkdir(parents=True)
    for number in range(16):
        checkpoints = Checkpoints(str(number))
        with checkpoints.alone():
            checkpoints.save(fit.compiled(small_params, 60, 20), [dict.fromkeys(fit.CURVES, 0.5)])
    assert len(list(repository.glob("*/000001"))) == 16
    assert "holds checkpoints of 15 other experiments" in capsys.readouterr().out


def test_runs_that_end_beside_each_other_do_not_disturb_each_other(repository):
    """Each removes its checkpoints, while others look at them all."""
    code = (
        "import sys; from src.core.files import remove_checkpoints; from src.train.checkpoint import Checkpoints\n"
        "for number in range(300):\n"
        "    one = Checkpoints(f'{sys.argv[1]}-{number}')\n"
        "    with one.alone(): (one.folder / '000001').touch()\n"
        "    remove_checkpoints(one.key)"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(n)], stdout=subprocess.DEVNULL) for n in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]


def test_shares_that_are_all_or_nothing_train_as_the_labels_do(small_params, arrays, undisturbed):
    (images, labels), validation = arrays
    weights, history, _ = train(small_params, ((images, np.eye(7, dtype=np.float32)[labels]), validation), "shares")
    assert same(weights, undisturbed[0])
    assert history == undisturbed[1]


def test_shares_of_votes_train_otherwise(small_params, arrays, undisturbed):
    (images, labels), validation = arrays
    shares = 0.7 * np.eye(7, dtype=np.float32)[labels] + 0.3 / 7
    weights, *_ = train(small_params, ((images, shares.astype(np.float32)), validation), "shares")
    assert not same(weights, undisturbed[0])


def test_another_seed_trains_differently(small_params, arrays, undisturbed):
    assert train(small_params.model_copy(update={"seed": 2}), arrays, "c")[1] != undisturbed[1]


def test_every_image_comes_once_an_epoch_in_another_order(small_params):
    images = np.repeat(np.arange(50, dtype=np.uint8), 16).reshape(50, 4, 4)
    orders = [
        np.concatenate([x[:, 0, 0, 0] for x, _ in batches.training(images, images[:, 0, 0] % 7, small_params, epoch)])
        for epoch in (0, 1)
    ]
    assert np.allclose(np.sort(orders) * 255, np.arange(50))
    assert not np.array_equal(*orders)


def test_an_epoch_takes_as_many_steps_as_there_are_batches(small_params, arrays):
    model, _ = fit.fit(small_params, *arrays, Checkpoints("c"), lambda history: None)
    assert int(model.optimizer.iterations) == 4 * 8  # 60 images in batches of 8, 4 epochs


def test_a_last_batch_of_one_image_trains(small_params, arrays):
    images, labels = arrays[0]
    _, history, _ = train(small_params, ((images[:57], labels[:57]), arrays[1]), "c")
    assert np.isfinite([epoch["loss"] for epoch in history]).all()
