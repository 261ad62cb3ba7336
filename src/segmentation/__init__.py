"""Which pixels of a face are its eyes, its mouth, its skin …"""

from pathlib import Path

SEGMENTATION = Path("models/segmentation.npy")  # the weights of the network that says so
SIZE = 48  # pixels a side of the pictures that it sees
CELLS = 24  # a side of the map that it gives
PARTS = ("background", "hair", "skin", "left eye", "right eye", "brow", "mouth", "hand")  # left as seen in the picture
