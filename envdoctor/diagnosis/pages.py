"""Writes the page of every diagnosis as Markdown: `python -m envdoctor.diagnosis.pages [--check] [FOLDER]` (`make pages`)."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.diagnosis.model import Diagnosis
from envdoctor.files import write_atomically

FOLDER = "docs/diagnoses"
MARK = "<!-- Written by `make pages` from "
"""How a page of ours begins: only such a file is ever overwritten or taken away."""
_CODE = re.compile(r"(`[^`]*`)")
# Inside a word an underscore is no emphasis in CommonMark, so `init_code` stays as it is.
_SPECIAL = re.compile(r"[\\*<\[\]]|(?<![A-Za-z0-9])_+|_+(?![A-Za-z0-9])")


def pages() -> dict[str, str]:
    """Every page by its file name, the index first."""
    codes = frozenset(d.code for d in all_diagnoses())
    return {"README.md": _index(), **{f"{d.code}.md": _page(d, codes) for d in all_diagnoses()}}


def _page(diagnosis: Diagnosis, codes: frozenset[str]) -> str:
    title, _, rest = diagnosis.page.partition("\n")
    lines = [
        f"{MARK}the docstring of {_file(diagnosis)}; edit that. -->",
        f"# {diagnosis.code}",
        "",
        f"**{_prose(title, codes)}**",
        "",
        f"Severity: {diagnosis.severity.value}. Layer: {diagnosis.layer.value}.",
    ]
    if diagnosis.follows_from == ("*",):
        lines[-1] += " Folded under any other error."
    elif diagnosis.follows_from:
        lines[-1] += (
            f" Folded under {', '.join(_link(code) for code in diagnosis.follows_from)} where that is found too."
        )
    body: list[str] = []
    for line in rest.strip("\n").splitlines():
        heading = line and not line[0].isspace()
        body += ["", f"## {line}", ""] if heading else [line.removeprefix("    ")]
    text = "\n".join([*lines, _prose("\n".join(body), codes)])
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def _file(diagnosis: Diagnosis) -> str:
    return diagnosis.check.__module__.replace(".", "/") + ".py"


def _prose(text: str, codes: frozenset[str]) -> str:
    """A docstring's text: code spans as they are, or as links where they name a diagnosis; nothing else is markup."""
    parts = _CODE.split(text)
    return "".join(
        (_link(part[1:-1]) if part[1:-1] in codes else part) if place % 2 else _SPECIAL.sub(_escaped, part)
        for place, part in enumerate(parts)
    )


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\{character}" for character in found[0])


def _link(code: str) -> str:
    return f"[`{code}`]({code}.md)"


def _index() -> str:
    lines = [
        f"{MARK}the docstrings in envdoctor/diagnosis; edit those. -->",
        "# Diagnoses",
        "",
        "What `envdoctor check` can find, nearest the metal first. `envdoctor explain CODE` shows a page in the terminal.",
        "",
        "| code | layer | severity | title |",
        "|---|---|---|---|",
    ]
    codes: frozenset[str] = frozenset()
    for d in all_diagnoses():
        title = _prose(d.title, codes).replace("|", "\\|")
        lines.append(f"| {_link(d.code)} | {d.layer.value} | {d.severity.value} | {title} |")
    return "\n".join(lines) + "\n"


def stale(folder: Path) -> dict[str, str]:
    """Names of the pages in `folder` that are not as they should be, with why."""
    wanted = pages()
    found = {}
    for name, text in wanted.items():
        path = folder / name
        if not path.exists():
            found[name] = "is missing"
        elif path.read_text(encoding="utf-8") != text:
            found[name] = "is out of date"
    for path in ours(folder):
        if path.name not in wanted:
            found[path.name] = "is about no diagnosis"
    return found


def write(folder: Path) -> None:
    """Writes all pages, and takes away those of diagnoses that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for name, text in wanted.items():
        write_atomically(folder / name, text)
    for path in ours(folder):
        if path.name not in wanted:
            path.unlink()


def ours(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.md")) if path.read_text(encoding="utf-8").startswith(MARK)]


@click.command()
@click.argument("folder", default=FOLDER, type=click.Path(path_type=Path, file_okay=False))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 and name the pages that are stale.")
def main(folder: Path, check: bool) -> None:
    """Write the pages of the diagnoses into FOLDER."""
    if not check:
        write(folder)
        return
    found = stale(folder)
    for name, why in found.items():
        click.echo(f"{folder / name} {why}")
    if found:
        click.echo("Run: make pages")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
