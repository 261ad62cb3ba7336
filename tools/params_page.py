"""The page of params: python -m tools.params_page

Writes docs/params.md, from params.yaml with its comments, the types in src/params.py and the stages in dvc.yaml.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from src import identity, params, plain_yaml
from src.core.files import replacing
from src.report.markdown import table

PAGE = Path("docs/params.md")
INTRODUCTION = """\
# Params

**What can be changed, and to what?**

Everything that can change a result is in [params.yaml](../params.yaml). A wrong value stops the stage, with a message
that names the param and what is allowed.

`dvc exp run -S epochs=100` changes a param for one experiment, `-S split.policy=clean` one in a section. An edit of
params.yaml changes it until the next edit. DVC then runs the stages that read it, and those behind them whose inputs
change.

More about them: [sources, layouts, limits, splits](data.md), [drawn faces](drawn-faces.md),
[alignment and rotations](aligned-faces.md), [the network](network.md), [threads, portable, device](exactness.md).

*Default* is what params.yaml holds, *meaning* is its comment there, *allowed* is what
[src/params.py](../src/params.py) takes. `python -m tools.params_page` writes this page.
"""
KINDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "`true`, `false`",
    "null": "`null`",
}
PLURALS = {"integer": "whole numbers", "number": "numbers", "string": "texts"}
BOUNDS = {"minimum": " from", "exclusiveMinimum": " above", "maximum": " to", "exclusiveMaximum": ", below"}


class _Params:
    """params.yaml, its text and its types, side by side."""

    def __init__(self, path: Path):
        text = path.read_text(encoding="utf-8")
        self.values = YAML().load(text)
        self.schema = params.Params.model_json_schema()
        self._lines = text.splitlines()

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A section's own schema, in place of the reference to it."""
        return self.schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def written(self, section: Any, name: str) -> tuple[str, str]:
        """What stands behind the name in the file: the value as it is written there, and the comment."""
        number = section.lc.key(name)[0]
        value, _, comment = self._lines[number].partition(":")[2].partition(" #")
        comments = [comment.strip()]
        for line in self._lines[number + 1 :]:
            if not (found := re.fullmatch(r" +# (.+)", line)):
                break
            comments.append(found[1])
        return value.strip(), " ".join(comments).replace("<", r"\<")  # or Markdown would take it as HTML

    def rows(self, section: Any, schema: dict[str, Any], place: str) -> Iterator[tuple[str, str, str, str]]:
        """A section's params, and those of the sections in it, each with default, allowed values and meaning."""
        for name, value in section.items():
            of = schema.get("properties", {}).get(name) or schema["additionalProperties"]
            written, comment = self.written(section, name)
            if "$ref" in of:
                yield f"`{place}{name}`", "", "", comment
                yield from self.rows(value, self.resolved(of), f"{place}{name}.")
            else:
                yield f"`{place}{name}`", f"`{written}`", allowed(of), comment


def allowed(schema: dict[str, Any]) -> str:
    """What a param may be, in words; only the rules of a single value, those between params are code."""
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(allowed(one) for one in schema[several])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "pattern" in schema:
        return f"text that matches `{schema['pattern']}`"
    if schema["type"] == "object":
        return f"{_count(schema, 'Properties')}names, each with a {allowed(schema['additionalProperties'])}"
    if schema["type"] == "array":
        items = schema["items"]
        if "enum" in items:
            return f"{_count(schema, 'Items')}of them as a list"
        return f"{_count(schema, 'Items')}{PLURALS[items['type']]}{_bounds(items)}"
    return f"{KINDS[schema['type']]}{_bounds(schema)}"


def _bounds(schema: dict[str, Any]) -> str:
    return "".join(f"{words} {schema[bound]:,}" for bound, words in BOUNDS.items() if bound in schema)


def _count(schema: dict[str, Any], of: str) -> str:
    least, most = schema.get(f"min{of}", 0), schema.get(f"max{of}")
    if most is None:
        return ""
    return f"{most:,} " if least == most else f"{least} to {most:,} " if least else f"up to {most:,} "


def page() -> str:
    """The page's text."""
    read = _Params(Path("params.yaml"))
    stages = plain_yaml.read(Path("dvc.yaml"))["stages"]
    listed = {stage: identity.listed_params(stage)["params.yaml"] for stage in stages}
    single, sections = [], []
    for name, value in read.values.items():
        of = read.resolved(read.schema["properties"][name])
        written, comment = read.written(read.values, name)
        readers = ", ".join(stage for stage, names in listed.items() if name in names)
        if isinstance(value, dict):
            columns = pd.DataFrame(read.rows(value, of, f"{name}."), columns=["param", "default", "allowed", "meaning"])
            what = f"{comment[:1].upper()}{comment[1:]}. " if comment else ""
            sections.append(f"## {name}\n\n{what}Read by {readers}.\n\n{table(columns)}\n")
        else:
            single.append((f"`{name}`", f"`{written}`", allowed(of), comment, readers))
    columns = pd.DataFrame(single, columns=["param", "default", "allowed", "meaning", "read by"])
    return "\n".join([INTRODUCTION, f"## Without a section\n\n{table(columns)}\n", *sections])


def main() -> None:
    with replacing(PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
