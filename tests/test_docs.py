"""What README.md and docs/ say can be followed: links lead somewhere, commands exist."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest
from dvc.cli.parser import DvcParserError, get_main_parser

from tests.conftest import HERE
from tools import params_page

PAGES = [*map(HERE.joinpath, ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *sorted((HERE / "docs").rglob("*.md"))]


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```|`[^`\n]+`", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """As GitHub makes them: of each heading, and a number behind one that was there before."""
    seen: Counter[str] = Counter()
    found = set()
    text = re.sub(r"^```.*?^```", "", text_of(path), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        words = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def dead_links(page: Path) -> list[str]:
    dead = []
    for link in re.findall(r"]\(([^)\s]+)\)|<img [^>]*src=\"([^\"]+)\"", without_code(text_of(page))):
        target = "".join(link)
        if re.match(r"[a-z]+:", target):  # of other people; the tests need no connection
            continue
        name, _, anchor = unquote(target).partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            dead.append(target)
    return dead


def code(text: str) -> Iterator[str]:
    """Lines of code, in blocks and between the text, in which a command may stand."""
    for block, span in re.findall(r"^```\w*\n(.*?)^```|`([^`\n]+)`", text, re.MULTILINE | re.DOTALL):
        for line in (block or span).splitlines():
            yield from re.split(r" +# | ; ", line.removeprefix("$ "))


def commands(name: str) -> list[list[str]]:
    """All that begin with it, whatever is set before, each as a list of words."""
    lines = [line.strip() for page in PAGES for line in code(text_of(page))]
    found = (re.match(rf"(?:[A-Z_]+=\S+ )*({name} .+)", line) for line in lines)
    return [shlex.split(one[1].split(" | ")[0].split(" > ")[0]) for one in found if one and "…" not in one[1]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(HERE).as_posix())
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(page):
    assert dead_links(page) == []


def test_a_link_to_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A: `b`!\n## c\n## c\n[1](#a-b) [2](#c-1) [3](page.md#c) [4](#c-2) ![5](gone.png) [6](page.md#d)\n"
    )
    assert dead_links(page) == ["#c-2", "gone.png", "page.md#d"]


def test_the_readme_is_read_in_a_few_minutes():
    assert len(text_of(HERE / "README.md").split()) <= 1600


def test_every_page_of_docs_can_be_reached_from_the_readme():
    linked = re.findall(r"]\((docs/[\w-]+\.md)", text_of(HERE / "README.md"))
    assert {path.relative_to(HERE).as_posix() for path in (HERE / "docs").glob("*.md")} == set(linked)


def test_every_module_that_is_run_exists():
    modules = [words[2] for words in commands("python -m")]
    assert len(modules) > 10
    for module in modules:
        assert find_spec(module), module
        assert not find_spec(module).submodule_search_locations or find_spec(f"{module}.__main__"), module
    for _, _, _, *names in (words for words in commands("python -m") if words[2] == "benchmarks"):
        assert all(find_spec(f"benchmarks.{name}") for name in names), names


def test_every_make_target_exists():
    targets = set(re.search(r"^\.PHONY: (.+)$", text_of(HERE / "Makefile"), re.MULTILINE)[1].split())
    named = {word for words in commands("make") for word in words[1:] if "=" not in word}
    assert {"repro", "test"} <= named <= targets


def test_every_dvc_command_is_one_that_dvc_takes():
    parser, found = get_main_parser(), commands("dvc")
    assert len(found) > 20
    for words in found:
        try:
            parser.parse_args(words[1:])
        except DvcParserError:
            pytest.fail(f"dvc does not take {shlex.join(words)}")


def test_the_page_of_params_is_what_its_command_writes():
    assert text_of(HERE / params_page.PAGE) == params_page.page(), "python -m tools.params_page writes it again"
