"""Reads pasted text and files into a Snapshot: snapshots as JSON, collect_env and its cousins, nvidia-smi, package lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envdoctor.facts.model import Snapshot

__all__ = ["read"]


def read(text: str | bytes) -> Snapshot:
    """The Snapshot in a text, whichever of the formats it is in, or several of them in one.

    What the text does not say is unknown (None). `source` names the formats ('collect_env+nvidia-smi'), `messages` keeps the
    lines that are none. Raises InputError, with one line, for JSON that is broken or no snapshot, and for text in which nothing
    is recognised.
    """
    from envdoctor.facts.cleaning import clean
    from envdoctor.reading.dumps import dump, snapshot_json
    from envdoctor.reading.dumps.text import decode
    from envdoctor.texts import short_numbers

    if isinstance(text, bytes):
        text = decode(text)
    if text.count("\0", 0, 10_000) > min(len(text), 10_000) // 4:  # UTF-16 that was decoded as something else
        text = text.replace("\0", "")
    text = short_numbers(text)
    snapshot = snapshot_json.find(text)
    return clean(snapshot if snapshot is not None else dump.read(text))
