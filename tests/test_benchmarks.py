"""What the benchmarks stand on, with a few drawn faces; how long it takes is not looked at."""

from importlib.util import find_spec

import pytest

from benchmarks import epoch
from benchmarks.sides import Side


@pytest.mark.slow
def test_each_side_of_a_comparison_trains_an_epoch_in_its_turn(tmp_path, monkeypatch):
    monkeypatch.setattr(epoch, "source", lambda: {"source": "rendered", "rendered.scale": 0.02})
    prepared = epoch.folder_for(tmp_path / "prepared")
    for kind in ("report", "ours", "xla", *(["pytorch"] if find_spec("torch") else [])):
        side = Side(epoch.beside(prepared, kind, epochs=2), kind)
        assert 0 < side.turn()["val_accuracy"] < 1, kind
        side.close()
