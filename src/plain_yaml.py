"""YAML that a user wrote, as plain values: what no param needs is refused, quickly and in little memory."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, NodeEvent, ScalarEvent

from src.errors import UserError

LONGEST, DEEPEST = 200_000, 10  # bytes and levels; params.yaml has 5,000 and three, dvc.lock 21,000 and eight


def read(path: Path) -> Any:
    """What a YAML file holds, as plain values; errors as in `parse`."""
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
        return parse(content.decode("utf-8"), path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read as YAML: byte {error.start + 1} is no UTF-8") from error


def parse(text: str, name: Path | str) -> Any:
    """YAML without what params do not need, and what can make a small file large: aliases, merges, tags, depth.

    Raises:
        UserError: it holds one of these, or is no YAML; with `name`, the line and what is wrong there.
    """
    try:
        if len(text.encode()) > LONGEST:
            raise ValueError(f"it has more than {LONGEST} bytes")
        # YAML 1.2 as DVC writes it, where 1e-05 is a number; a key given twice is an error.
        yaml = YAML(typ="safe", pure=True)
        _check_events(yaml.parse(text))
        values = yaml.load(text)
        _check_keys(values)
    except MarkedYAMLError as error:
        what = f"line {error.problem_mark.line + 1}: {error.problem}" if error.problem_mark else error.problem
        raise UserError(f"{name}: cannot be read as YAML: {' '.join(what.split())}") from error
    except (YAMLError, ValueError) as error:
        what = " ".join(str(error).split()).replace(' in "<unicode string>"', "")
        raise UserError(f"{name}: cannot be read as YAML: {what}") from error
    return values


def _check_events(events: Iterable[Event]) -> None:
    """Before anything is built: each of these costs more than its bytes, time or memory."""
    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        line = event.start_mark.line + 1
        if depth > DEEPEST:
            raise ValueError(f"line {line}: nested deeper than {DEEPEST} levels")
        if isinstance(event, AliasEvent):
            raise ValueError(f"line {line}: *{event.anchor} is an alias; write out what it stands for")
        if isinstance(event, ScalarEvent) and event.value == "<<" and event.style is None:
            raise ValueError(f"line {line}: << is a merge; write out what it merges")
        if isinstance(event, NodeEvent) and (tag := getattr(event, "tag", None)):
            raise ValueError(f"line {line}: {tag} is a tag; leave it away")


def _check_keys(values: object) -> None:
    if isinstance(values, dict):
        for key in values:
            if not isinstance(key, str):
                raise ValueError(f"the key {key} is not text; put it in quotes")
    if isinstance(values, (dict, list)):
        for value in values.values() if isinstance(values, dict) else values:
            _check_keys(value)
