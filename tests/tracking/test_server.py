"""A real `mlflow server` behind a door that can be shut, in every way a server can fail in the middle."""

import time
from collections.abc import Iterator

import mlflow
import pytest

from src import tracking
from src.errors import UserError
from src.tracking import stage as stages
from tests.tracking.conftest import OPENING, Door, points, runs, serving

LONGER = [{"loss": 1 / (epoch + 1)} for epoch in range(6)]


@pytest.fixture(scope="module")
def server(tmp_path_factory, migrated) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(migrated)
    with serving(folder) as uri:
        yield uri


@pytest.fixture
def door(server, repository, monkeypatch) -> Iterator[Door]:
    """Open; what is logged goes to it."""
    with Door.before(server) as door:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", door.uri)
        monkeypatch.setattr(stages, "SHARE", 0)
        yield door


def held(door: Door, key: str, metric: str = "loss/train") -> list:
    client = mlflow.MlflowClient(door.behind)
    (run,) = (run for run in runs(client) if run.data.tags[tracking.KEY] == key)
    return [run.info.status, points(client, run.info.run_id, metric)]


def warnings(capsys) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]


ALL = [(epoch + 1, 1 / (epoch + 1)) for epoch in range(6)]
FAILING = {"errors": (500, b"oops"), "busy": (503, b""), "hangs": (0, b""), "page": (200, b"<html>\n<p>Please log in")}


@pytest.mark.parametrize("kind", FAILING)
def test_a_server_that_fails_in_the_middle_is_said_once_and_gets_every_epoch_when_it_is_back(
    kind, door, settings, capsys, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with tracking.open_stage(settings, kind) as tracked:
        for epoch in range(1, 7):
            door.answer = FAILING[kind] if epoch in (2, 3, 4) else None
            started = time.monotonic()
            tracked.log_history(LONGER[:epoch])
            assert time.monotonic() - started < 6
    assert held(door, kind) == ["FINISHED", ALL]
    away, back = warnings(capsys)
    assert away.startswith("warning: MLflow takes nothing more, training goes on: MLFLOW_TRACKING_URI: cannot use the")
    assert back == "warning: MLflow takes runs again, and has every epoch so far"


def test_a_server_that_fails_between_two_requests_of_an_epoch_gets_it_once(door, settings):
    with tracking.open_stage(settings, "between") as tracked:
        for epoch in range(1, 7):
            door.answer, door.after = FAILING["errors"], epoch % 3
            tracked.log_history(LONGER[:epoch])
            door.answer = None
        tracked.log_history(LONGER)
    assert held(door, "between") == ["FINISHED", ALL]


@pytest.mark.slow
def test_a_server_that_hangs_costs_a_training_a_tenth_of_its_time(door, settings, monkeypatch):
    monkeypatch.setattr(stages, "SHARE", 10)
    with tracking.open_stage(settings, "hangs long") as tracked:
        door.answer = FAILING["hangs"]
        started = time.monotonic()
        tracked.log_history(LONGER[:1])
        assert time.monotonic() - started < 15  # two requests of five seconds
        started = time.monotonic()
        for epoch in range(2, 7):
            tracked.log_history(LONGER[:epoch])
        assert time.monotonic() - started < 1
        door.answer = None
    assert held(door, "hangs long")[1] == []


def test_a_server_that_is_away_at_the_end_costs_nothing_but_a_later_sync(door, settings, capsys):
    with tracking.open_stage(settings, "end") as tracked:
        tracked.log_history(LONGER[:2])
        door.answer = FAILING["errors"]
        tracked.log_history(LONGER)
    assert len(warnings(capsys)) == 2
    tracking.log_stage(settings, "end", "plot")
    (said,) = warnings(capsys)
    assert "MLflow has not all of them" in said
    assert "`make mlflow-sync` logs" in said
    door.answer = None
    with tracking.open_run(settings, "end") as run:  # as sync does
        run.log_history(LONGER)
    assert held(door, "end") == ["FINISHED", ALL]


@pytest.mark.parametrize("opened", [tracking.open_run, tracking.open_stage])
def test_what_ends_a_training_is_not_hidden_by_a_server_that_does_not_take_the_end(opened, door, settings):
    with pytest.raises(RuntimeError, match="the disk burns"), opened(settings, "burns"):
        door.answer = FAILING["errors"]
        raise RuntimeError("the disk burns")


REFUSING = {
    "401": ((401, b"You are not authenticated."), "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"),
    "401 json": ((401, b'{"detail": "Unauthorized"}'), "MLFLOW_TRACKING_TOKEN"),
    "403": ((403, b"Permission denied"), "MLFLOW_TRACKING_TOKEN"),
    "403 json": ((403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}'), "MLFLOW_TRACKING_TOKEN"),
    "404": ((404, b"<html>\nnot here"), "no MLflow server answers there, correct MLFLOW_TRACKING_URI"),
    "page": ((200, b"<html>\n" + 10_000 * b"welcome\n"), "no MLflow server answers there, correct MLFLOW_TRACKING_URI"),
    "500": ((500, b"oops"), "start that server, or unset MLFLOW_TRACKING_URI"),
    "control": ((418, b"\x1b[2Jtea\x07"), "cannot use the MLflow store"),
}


@pytest.mark.parametrize("kind", REFUSING)
def test_a_training_does_not_start_on_a_server_that_refuses_and_the_hint_fits(kind, door, settings):
    door.answer, hint = REFUSING[kind]
    with pytest.raises(UserError, match=hint) as raised:
        tracking.run.Run(settings, kind)
    said = str(raised.value)
    assert said.startswith(f"MLFLOW_TRACKING_URI: cannot use the MLflow store at {door.uri}: ")
    assert "\n" not in said
    assert len(said) < 1000
    assert ("start that server" in said) == (kind == "500")


def test_a_password_in_the_uri_is_not_printed(settings, repository, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9.*Connection refused; start that server") as raised:
        tracking.run.Run(settings, "k")
    assert "secret" not in str(raised.value)


def test_an_epoch_is_two_requests_and_nothing_new_is_one(door, settings):
    with tracking.open_stage(settings, "requests") as tracked:
        assert len(door.passed) == OPENING
        tracked.log_history(LONGER[:1])
        door.passed.clear()
        tracked.log_history(LONGER[:2])
        assert len(door.passed) == 2, door.passed
        door.passed.clear()
        tracked.log_history(LONGER[:2])
        assert len(door.passed) == 1, door.passed


def test_a_metric_that_a_run_holds_at_its_only_step_needs_no_request_of_its_own(door, settings):
    many = [{f"m{n}": n / 3 for n in range(60)}]
    for _ in range(2):
        with tracking.open_run(settings, "many") as run:
            door.passed.clear()
            run.log_history(many)
            requests = len(door.passed)
    assert requests == 1
