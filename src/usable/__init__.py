"""Which pictures are faces of which an emotion can be read."""

from pathlib import Path

USABLE = Path("models/usable.npy")  # the weights of the network that says so
SIZE = 48  # pixels a side of the pictures that it sees
