"""conda's match specifications as requirements."""

from __future__ import annotations

import re

from envdoctor.linting.model import Place, Wanted


def conda_wanted(text: str, place: Place) -> Wanted | None:
    """A conda match specification ('pytorch=2.5', 'conda-forge::pytorch-gpu>=2.4', 'python 3.11') as a requirement."""
    match = re.match(
        r"(?:[\w./-]+::)?([\w.-]+?)\s*(?:\s|(?=[=<>!~]))\s*([=<>!~].*|\d.*)?$|(?:[\w./-]+::)?([\w.-]+)$", text.strip()
    )
    if match is None:
        return None
    name, raw = (match[1] or match[3]).lower(), (match[2] or "").strip()
    raw = raw.partition(" ")[0]
    parts = raw.lstrip("=").split("=")
    if raw[:1] in ("<", ">", "!", "~"):
        specifier = raw
    elif raw.startswith("=="):
        specifier = f"=={parts[0]}"
    elif raw:
        specifier = f"=={parts[0].rstrip('.*')}.*"
    else:
        specifier = ""
    return Wanted(name=name, specifier=specifier, place=place, text=text.strip())
