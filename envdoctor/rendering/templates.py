"""The one template environment: recipes/ through Jinja, with a filter for each language that a value is written into.

A template never writes a bare value where a language would read it as more than that: `{{ value | sh }}` in a shell,
`toml`, `yaml`, `json`, `py`, `ps` (PowerShell) in theirs, `comment` in a comment.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from envdoctor.planning.model import Stack
from envdoctor.rendering.header import header
from envdoctor.rendering.model import Options
from envdoctor.resources import resource_folder

if TYPE_CHECKING:
    from jinja2 import Environment

# PowerShell takes typographic quotes for single quotes.
_POWERSHELL_QUOTES = "'\u2018\u2019\u201a\u201b"


def fill(
    template: str,
    stack: Stack,
    options: Options,
    *,
    what: str,
    run: Iterable[str] = (),
    recipe: str | None = None,
    **more: object,
) -> str:
    """A template of recipes/ ("venv/venv.sh.j2"), filled in.

    It sees `stack`, `options`, `header` (what this file is, the plan, how to run it: lines for the `comment` filter) and
    `more`. `what`: one line; `run`: the commands or sentences that say how to use it. `recipe`: for the header, by
    default the template's folder.
    """
    lines = header(recipe or template.partition("/")[0], stack, options, what=what, run=tuple(run))
    return environment().get_template(template).render(stack=stack, options=options, header=lines, **more)


@cache
def environment() -> Environment:
    """The Jinja environment. An undefined name is an error, and so is a template that is missing."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(  # noqa: S701 (nothing here is HTML; each value goes through the filter of its language)
        loader=FileSystemLoader(resource_folder("recipes")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(sh=sh, toml=toml, yaml=yaml, json=to_json, py=repr, ps=powershell, comment=comment)
    return made


def sh(value: object) -> str:
    """A shell word, or words where it is a list."""
    if isinstance(value, (list, tuple)):
        return " ".join(shlex.quote(str(part)) for part in value)
    return shlex.quote(str(value))


def powershell(value: object) -> str:
    """A PowerShell literal, or literals with commas where it is a list."""
    if isinstance(value, (list, tuple)):
        return ", ".join(powershell(part) for part in value)
    text = "".join(c * 2 if c in _POWERSHELL_QUOTES else c for c in str(value))
    return f"'{text}'"


def toml(value: Any) -> str:
    """A TOML value: a string, number or boolean, or an array of them."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml(part) for part in value)}]"
    return _quoted(value)


def yaml(value: Any) -> str:
    """A YAML scalar, always quoted where it is text, so that '3.10' and 'no' stay text; a flow sequence from a list."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(yaml(part) for part in value)}]"
    return "null" if value is None else _quoted(value)


def to_json(value: Any) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def comment(value: Any, prefix: str = "# ") -> str:
    """Each line behind `prefix`. What could end a line, or hide in one, is written as an escape."""
    lines = value.splitlines() if isinstance(value, str) else [str(line) for line in value]
    shown = ("".join(c if c.isprintable() else repr(c)[1:-1] for c in line) for line in lines)
    return "\n".join(f"{prefix}{line}".rstrip() for line in shown)


def _quoted(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    # A JSON string is a TOML basic string and a YAML double-quoted scalar, but for the controls that JSON leaves bare.
    text = json.dumps(str(value), ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
