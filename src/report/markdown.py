"""Tables in Markdown."""

import pandas as pd


def table(content: pd.DataFrame) -> str:
    """`content` without its index, a line per row; what a cell holds is Markdown, on one line."""
    header, *rows = (
        "| " + " | ".join(_cell(value) for value in values) + " |"
        for values in (content.columns, *content.itertuples(index=False))
    )
    return "\n".join([header, "|" + " --- |" * len(content.columns), *rows])


def _cell(value: object) -> str:
    return "<br>".join(str(value).splitlines()).replace("|", r"\|")
