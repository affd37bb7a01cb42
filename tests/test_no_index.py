"""Nothing that envdoctor prints, writes or documents asks a package index for envdoctor: no one holds that name there, and a
stranger who took it would run their code on the machines of those who follow us."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from envdoctor.cli import COMMANDS
from envdoctor.errors import InputError
from envdoctor.rendering import catalogue
from envdoctor.rendering.model import RenderedFile
from tests.rendering.test_docker import STACKS

ROOT = Path(__file__).parent.parent
# An installer's verb with the bare name of the package behind it: a path, an address or an option is another thing.
ASKS = re.compile(
    r"""\b(?:pip3?|pipx|uv|uvx|conda|mamba|pixi|poetry)\b [^\n;&|`]*?
        (?:\b(?:install|run|add|tool|download)\b|(?<=uvx)) [^\n;&|`]*?
        (?<![\w./:@=-])["']?envdoctor(?:\[[\w,]*\])?(?:[=<>~!]=[^\s"']*)?["']?(?![\w./=-])""",
    re.VERBOSE,
)
PINS = re.compile(r"(?<![\w.])envdoctor(?:\[[\w,]*\])?[=~]=")


def asks(text: str) -> str | None:
    """The first place that asks an index for envdoctor."""
    found = ASKS.search(text) or PINS.search(text)
    return found.group() if found else None


@pytest.mark.parametrize(
    "text",
    [
        "pip install envdoctor",
        "python -m pip install --quiet 'envdoctor[report]'",
        "pipx run envdoctor check",
        "uvx envdoctor check",
        "uv tool install --python 3.13 envdoctor",
        "pip install --find-links /context envdoctor==0.1.0",
        "RUN pip install torch envdoctor",
        "envdoctor==0.1.0",
    ],
)
def test_each_way_of_asking_is_seen(text: str) -> None:
    assert asks(text)


@pytest.mark.parametrize(
    "text",
    [
        "pip install .",
        "pip install ./envdoctor",
        "pip install dist/envdoctor-0.1.0-py3-none-any.whl",
        "pip install git+https://example.org/envdoctor",
        "uv pip install torch; envdoctor check",
        "pip install torch\nenvdoctor check",
    ],
)
def test_what_asks_no_index_is_left_alone(text: str) -> None:
    assert asks(text) is None


@pytest.mark.parametrize("name", catalogue.RECIPES)
def test_no_recipe_asks_an_index_for_envdoctor(name: str) -> None:
    files = list(_files(name))
    assert files
    for file in files:
        assert asks(file.text) is None, file.path


def strings(path: Path) -> Iterator[str]:
    """Every literal of a module, and neighbours in a list as one command."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.List | ast.Tuple):
            yield " ".join(str(part.value) for part in node.elts if isinstance(part, ast.Constant))


def test_no_string_of_the_product_asks_an_index_for_envdoctor() -> None:
    modules = [*ROOT.glob("envdoctor/**/*.py"), *ROOT.glob("benchmarks/**/*.py")]
    found = [f"{path.relative_to(ROOT)}: {hit}" for path in modules for text in strings(path) if (hit := asks(text))]
    assert not found
    data = [
        *ROOT.glob("envdoctor/knowledge/data/**/*.json"),
        *ROOT.glob("envdoctor/**/*.j2"),
        *ROOT.glob("recipes/**/*.j2"),
    ]
    found = [f"{path.relative_to(ROOT)}: {hit}" for path in data if (hit := asks(path.read_text(encoding="utf-8")))]
    assert not found


def test_no_page_asks_an_index_for_envdoctor() -> None:
    pages = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("recipes/**/*.md"),
        *ROOT.glob("benchmarks/**/*.md"),
    ]
    texts = {path: path.read_text(encoding="utf-8") for path in (*pages, ROOT / "Dockerfile")}
    assert not [f"{path.relative_to(ROOT)}: {hit}" for path, text in texts.items() if (hit := asks(text))]


# A command line as it is shown: in backticks, quotes, at a line's start or after a shell's operator. Prose stands elsewhere.
COMMAND = re.compile(r"(?:^|[`'\"]|&& |; |\|\| |: )envdoctor ((?:[a-z]+(?: |$|(?=[`'\"])))+)", re.MULTILINE)


CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def test_every_command_that_recipes_and_pages_name_exists() -> None:
    pages = (ROOT / "README.md", *ROOT.glob("docs/*.md"))
    texts = {str(path): "\n".join(CODE.findall(path.read_text(encoding="utf-8"))) for path in pages}
    for name in catalogue.RECIPES:
        texts |= {f"{name}: {file.path}": file.text for file in _files(name)}
    named = {(where, match[1].split()[0]) for where, text in texts.items() for match in COMMAND.finditer(text)}
    assert len(named) > 20
    assert not {(where, first) for where, first in named if first not in COMMANDS}


def _files(name: str) -> Iterator[RenderedFile]:
    for stack in STACKS.values():
        with suppress(InputError):
            yield from catalogue.render(name, stack)
