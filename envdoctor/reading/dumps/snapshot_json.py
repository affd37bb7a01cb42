"""JSON -> Snapshot: a snapshot itself, or a report or bench file that holds one."""

from __future__ import annotations

import re

import msgspec

from envdoctor.errors import InputError
from envdoctor.facts.model import SCHEMA, Snapshot

_KIND, _, _NUMBER = SCHEMA.partition("/")
LARGEST, MOST_MESSAGES = 16 << 20, 300
"""Bytes of a snapshot, the largest known of which is under 1 MB; and its lines of other text, which readers keep 200 of."""
_HOLDERS = ("envdoctor.report", "envdoctor.bench")
_MARK = re.compile(r'"schema"\s{0,8}:\s{0,8}"envdoctor\.')
_AT = re.compile(r"(?P<what>.*?) - at `(?P<path>[^`]*)`", re.DOTALL)


class _Envelope(msgspec.Struct):
    """What every file of envdoctor begins with; the rest is skipped undecoded."""

    schema: object = None
    snapshot: msgspec.Raw = msgspec.Raw(b"")


def find(text: str) -> Snapshot | None:
    """The Snapshot of a text that is JSON, or has one in it; None where it is another kind of text."""
    start = text.lstrip("\ufeff \t\r\n\x0b\x0c")[:1]
    marked = _MARK.search(text, 0, 2_000_000)
    if start == "{":
        data = text.lstrip("\ufeff").encode("utf-8", "replace")
        try:
            return _decode(data)
        except InputError:
            # Braces also open other texts; a snapshot that is broken says that it is one.
            if marked or (_parses(data) and not _a_log(data)):
                raise
            return None
    if marked:
        begin = text.rfind("{", 0, marked.start())
        if begin >= 0:
            return _embedded(text, begin)
    return None


def _embedded(text: str, begin: int) -> Snapshot:
    """A JSON object with other text around it, such as a fence."""
    import json

    try:
        _, end = json.JSONDecoder().raw_decode(text, begin)
    except json.JSONDecodeError as error:
        lines = text[begin:].encode("utf-8", "replace")
        raise InputError(
            f"the JSON in this text is broken or cut off at character {error.pos} ({error.msg}, {len(lines)} bytes)."
        ) from error
    except RecursionError as error:
        raise InputError("the JSON in this text is nested too deeply to be a snapshot.") from error
    return _decode(text[begin:end].encode("utf-8", "replace"))


def _decode(data: bytes) -> Snapshot:
    envelope = _envelope(data)
    schema = envelope.schema
    if not isinstance(schema, str) or not schema.startswith("envdoctor."):
        raise InputError('this JSON is no envdoctor snapshot: it has no "schema": "envdoctor.snapshot/1".')
    kind, _, number = schema.partition("/")
    if kind in _HOLDERS:
        held = bytes(envelope.snapshot)
        if not held or held == b"null":
            raise InputError(f"this file ({schema}) holds no snapshot.")
        envelope, data = _envelope(held), held
        kind, _, number = str(envelope.schema).partition("/")
    if kind != _KIND:
        raise InputError(f"this file is {schema}, which holds no snapshot; give a snapshot, a report or a bench file.")
    if number != _NUMBER:
        newer = number.isdecimal() and len(number) < 6 and int(number) > int(_NUMBER)
        hint = "made by a newer envdoctor; update this one" if newer else f"this envdoctor reads {SCHEMA}"
        raise InputError(f"{kind}/{number[:20]}: {hint}.")
    if len(data) > LARGEST:
        raise InputError(f"this snapshot is larger than {LARGEST >> 20} MiB; no machine has as many facts.")
    try:
        snapshot = msgspec.json.decode(data, type=Snapshot)
        return msgspec.structs.replace(snapshot, messages=snapshot.messages[:MOST_MESSAGES])
    except msgspec.ValidationError as error:
        found = _AT.match(str(error))
        if found:
            raise InputError(f"not a snapshot: field {found['path'].removeprefix('$.')}: {found['what']}.") from error
        raise InputError(f"not a snapshot: {error}.") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(_broken(data, error)) from error


def _envelope(data: bytes) -> _Envelope:
    try:
        return msgspec.json.decode(data, type=_Envelope)
    except (msgspec.DecodeError, RecursionError) as error:  # ValidationError is a DecodeError
        raise InputError(_broken(data, error)) from error


def _parses(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _broken(data: bytes, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "this JSON is nested too deeply to be a snapshot."
    if "truncated" in str(error):
        return f"this JSON is cut off: it ends at byte {len(data)} in the middle of a value."
    return f"this is not JSON that can be read: {error}."


def _a_log(data: bytes) -> bool:
    """Whether a JSON object is a line of a structured log, whose message is text."""
    record = msgspec.json.decode(data)
    return isinstance(record, dict) and any(
        isinstance(record.get(key), str) for key in ("msg", "message", "log", "MESSAGE")
    )
