"""Writes the page of every rule for files as Markdown: `python -m envdoctor.linting.pages [--check] [FOLDER]` (`make pages`)."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from envdoctor.diagnosis.pages import MARK, ours
from envdoctor.files import write_atomically
from envdoctor.linting.rules.catalogue import RULES, LintRule

FOLDER = "docs/rules"
_HEAD = f"{MARK}envdoctor/linting/rules/catalogue.py; edit that. -->"


def pages() -> dict[str, str]:
    """Every page by its file name, the index first."""
    lines = [_HEAD, "# Rules for files", "", "What `envdoctor check FILE...` looks for.", ""]
    lines += ["| rule | ends in | what it says |", "|---|---|---|"]
    lines += [f"| [`{rule.id}`]({rule.id}.md) | {_codes(rule)} | {rule.title} |" for rule in RULES]
    return {"README.md": "\n".join(lines) + "\n", **{f"{rule.id}.md": _page(rule) for rule in RULES}}


def _codes(rule: LintRule) -> str:
    return ", ".join(f"[`{code}`](../diagnoses/{code}.md)" for code in rule.codes)


def _page(rule: LintRule) -> str:
    machine = f" on a machine with {rule.gpu}, driver {rule.driver}" if rule.gpu else ""
    kind = "dockerfile" if rule.file == "Dockerfile" else "yaml" if rule.file.endswith("l") else "text"
    lines = [_HEAD, f"# {rule.id}", "", f"**{rule.title}.** Ends in {_codes(rule)}.", "", rule.why, ""]
    lines += [f"Found in this {rule.file}{machine}:", "", f"```{kind}", rule.fires.rstrip(), "```", ""]
    lines += ["Not in this one:", "", f"```{kind}", rule.silent.rstrip(), "```", "", "## Repair", "", rule.repair]
    return "\n".join(lines) + "\n"


def stale(folder: Path) -> dict[str, str]:
    """Names of the pages in `folder` that are not as they should be, with why."""
    wanted = pages()
    found = {}
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            found[name] = "is out of date" if path.exists() else "is missing"
    found.update({path.name: "is about no rule" for path in ours(folder) if path.name not in wanted})
    return found


@click.command()
@click.argument("folder", default=FOLDER, type=click.Path(path_type=Path, file_okay=False))
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 and name the pages that are stale.")
def main(folder: Path, check: bool) -> None:
    """Write the pages of the rules into FOLDER."""
    found = stale(folder)
    if check:
        for name, why in found.items():
            click.echo(f"{folder / name} {why}")
        sys.exit(bool(found))
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for name, text in wanted.items():
        write_atomically(folder / name, text)
    for path in ours(folder):
        if path.name not in wanted:
            path.unlink()


if __name__ == "__main__":
    main()
