"""How far a long step is, on standard error. No result depends on it, so editing it runs no stage again."""

from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def bar(
    items: Iterable[Any] | None = None, what: str | None = None, unit: str = "image", **options: Any
) -> "tqdm[Any]":
    """A bar of tqdm's over `items`, or one that is moved by its `update`; `options` are tqdm's."""
    return tqdm(items, desc=what, unit=unit, mininterval=1, **options)
