"""The report's network and training in PyTorch, as a good user of it would write them for a CPU.

Channels last, Adam fused, faces in memory as bytes, each batch zoomed at once. Layers, initial distributions and
constants are Keras's, so that both learn the same; random numbers are PyTorch's own.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional

BATCH, SCORED = 32, 256
ZOOM = 0.2


def network(size: int, labels: int) -> nn.Sequential:
    """Images (batch, 1, size, size) in 0..1 -> logits (batch, labels)."""
    layers: list[nn.Module] = []
    before = 1
    for filters, pool in ((16, 2), (32, 2), (64, 4)):  # 4: as pooling by 2 twice in a row
        # ReLU behind the pooling: the same values, from a quarter of the work.
        layers += [nn.Conv2d(before, filters, 3), nn.MaxPool2d(pool), nn.ReLU()]
        layers += [nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)]
        before, size = filters, (size - 2) // pool
    layers += [nn.Dropout(0.25), nn.Flatten(), nn.Linear(before * size * size, 512), nn.ReLU(), nn.Linear(512, labels)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def zoomed(images: torch.Tensor) -> torch.Tensor:
    """Each image (batch, 1, n, n) zoomed by a factor of its own for each axis; bilinear, the nearest pixel outside."""
    batch = len(images)
    factors = torch.empty(batch, 2).uniform_(1 - ZOOM, 1 + ZOOM)
    where = torch.zeros(batch, 2, 3)
    where[:, 0, 0], where[:, 1, 1] = factors[:, 0], factors[:, 1]
    grid = functional.affine_grid(where, list(images.shape), align_corners=True)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=True)


class Training:
    """A network in training.

    Args:
        train, validation: images (n, size, size) uint8 and labels (n,).
    """

    def __init__(
        self,
        train: tuple[np.ndarray, np.ndarray],
        validation: tuple[np.ndarray, np.ndarray],
        labels: int,
        seed: int,
        threads: int,
    ):
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.train, self.validation = (
            (torch.from_numpy(np.array(images)).unsqueeze(1), torch.from_numpy(np.array(answers)).long())
            for images, answers in (train, validation)
        )
        self.network = network(self.train[0].shape[-1], labels)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3, eps=1e-7, fused=True)

    def epoch(self) -> dict[str, float]:
        """One epoch and its validation: accuracy is a running mean, as Keras reports it."""
        self.network.train()
        right = torch.zeros((), dtype=torch.long)
        for images, answers in _batches(self.train, torch.randperm(len(self.train[0])), BATCH):
            scores = self.network(zoomed(images).contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(scores, answers)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            right += (scores.detach().argmax(1) == answers).sum()
        return {"accuracy": right.item() / len(self.train[0]), "val_accuracy": self._score()}

    @torch.inference_mode()
    def _score(self) -> float:
        self.network.eval()
        order, right = torch.arange(len(self.validation[0])), 0
        for images, answers in _batches(self.validation, order, SCORED):
            scores = self.network(images.contiguous(memory_format=torch.channels_last))
            right += int((scores.argmax(1) == answers).sum())
        return right / len(order)


def _batches(
    of: tuple[torch.Tensor, torch.Tensor], order: torch.Tensor, size: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for rows in order.split(size):
        yield of[0][rows].float().div_(255), of[1][rows]
