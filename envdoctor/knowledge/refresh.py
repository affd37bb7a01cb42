"""Rebuilds what package metadata can rebuild, and prints what changed.

    python -m envdoctor.knowledge.refresh                 # against PyPI, or the index that PIP_INDEX_URL names
    python -m envdoctor.knowledge.refresh --check         # changes nothing; exit code 1 where something changed
    python -m envdoctor.knowledge.refresh --index URL --only companions --reread

Rebuilt: data/torch_pypi.json, companions.json, companion_wheels.json, triton.json and published.json. Wheels that were
read before are not read again unless --reread. The other files come from documents and are maintained by hand: those that
have grown stale are named at the end, with what to do (data/freshness.json, docs/knowledge.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from envdoctor.errors import EnvdoctorError
from envdoctor.knowledge.companion_wheels import CompanionWheelTable
from envdoctor.knowledge.companions import CompanionTable
from envdoctor.knowledge.freshness import Freshness
from envdoctor.knowledge.published import PublishedTable
from envdoctor.knowledge.rebuild import Progress, rebuild_companions, rebuild_published, rebuild_torch
from envdoctor.knowledge.rebuild_triton import rebuild_triton
from envdoctor.knowledge.rebuild_wheels import rebuild_companion_wheels
from envdoctor.knowledge.registry import DEFAULT_INDEX, Registry
from envdoctor.knowledge.tables import DATA
from envdoctor.knowledge.torch_rows import PypiTable
from envdoctor.knowledge.triton import TritonTable

TABLES = ("published", "companions", "wheels", "triton", "torch")
_FILES = {
    "torch": "torch_pypi.json",
    "companions": "companions.json",
    "wheels": "companion_wheels.json",
    "triton": "triton.json",
    "published": "published.json",
}


def refresh(
    registry: Registry,
    data: Path,
    only: Sequence[str],
    *,
    today: str,
    progress: Progress,
    reread: bool = False,
    write: bool = True,
) -> list[str]:
    """Rebuilds the tables named in `only` from `registry` and returns the differences, one line each. Files change
    only where `write`, and all of them only once everything was read: a network failure leaves the tables whole."""
    torch = msgspec.json.decode((data / _FILES["torch"]).read_bytes(), type=PypiTable)
    companions = msgspec.json.decode((data / _FILES["companions"]).read_bytes(), type=CompanionTable)
    published = msgspec.json.decode((data / _FILES["published"]).read_bytes(), type=PublishedTable)
    differences: list[str] = []
    rebuilt: dict[str, msgspec.Struct] = {}
    if "published" in only:
        new_published = rebuild_published(registry, published, today)
        differences += _published_differences(published, new_published)
        rebuilt["published"] = new_published
    if "companions" in only:
        new_companions = rebuild_companions(registry, companions, today, progress, reread)
        differences += _companion_differences(companions, new_companions)
        rebuilt["companions"] = companions = new_companions
    if "wheels" in only:
        wheels = msgspec.json.decode((data / _FILES["wheels"]).read_bytes(), type=CompanionWheelTable)
        new_wheels = rebuild_companion_wheels(registry, wheels, today, progress, reread)
        differences += _wheel_differences(wheels, new_wheels)
        rebuilt["wheels"] = new_wheels
    if "triton" in only:
        triton = msgspec.json.decode((data / _FILES["triton"]).read_bytes(), type=TritonTable)
        new_triton = rebuild_triton(registry, triton, today, progress, reread)
        differences += _triton_differences(triton, new_triton)
        rebuilt["triton"] = new_triton
    if "torch" in only:
        new_torch = rebuild_torch(registry, torch, companions, today, progress, reread)
        differences += _torch_differences(torch, new_torch)
        rebuilt["torch"] = new_torch
    if write:
        for name, table in rebuilt.items():
            (data / _FILES[name]).write_text(dump(table), encoding="utf-8")
    return differences


def dump(table: msgspec.Struct) -> str:
    """A table as JSON with one record a line: small, and a diff shows the record that changed. Fields that hold
    their default are left out."""
    parts = []
    for name, value in _compact(table).items():
        if isinstance(value, list):
            body = ",\n".join(f"  {_json(row)}" for row in value)
            parts.append(f" {_json(name)}: [\n{body}\n ]")
        elif isinstance(value, dict):
            body = ",\n".join(f"  {_json(key)}: {_json(row)}" for key, row in value.items())
            parts.append(f" {_json(name)}: {{\n{body}\n }}")
        else:
            parts.append(f" {_json(name)}: {_json(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _compact(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        return {
            field.encode_name: _compact(getattr(value, field.name))
            for field in fields
            if getattr(value, field.name) != field.default
        }
    if isinstance(value, (list, tuple)):
        return [_compact(item) for item in value]
    if isinstance(value, dict):
        return {key: _compact(item) for key, item in value.items()}
    return value


def _json(value: Any) -> str:
    import json  # msgspec writes no blanks between items, which makes long lines hard to read

    return json.dumps(value, ensure_ascii=False)


def _torch_differences(old: PypiTable, new: PypiTable) -> list[str]:
    before = {row.version: row for row in old.releases}
    lines = []
    for row in new.releases:
        known = before.get(row.version)
        if known is None:
            built = ", ".join(
                f"{platform} {wheel.local.partition('+')[2] or 'cpu'}" + (f" [{wheel.flags}]" if wheel.flags else "")
                for platform, wheel in sorted(row.wheels.items())
            )
            lines.append(f"torch {row.version}: new, {row.date}: {built}")
            lines.append(f"torch {row.version}: goes with torchvision {row.torchvision}, torchaudio {row.torchaudio}")
            continue
        for field in ("date", "requires_python", "yanked", "torchvision", "torchaudio"):
            was, now = getattr(known, field), getattr(row, field)
            if was != now:
                lines.append(f"torch {row.version}: {field} was {was}, is {now}")
        for platform in sorted(known.python.keys() | row.python.keys()):
            was_tags, now_tags = set(known.python.get(platform, ())), set(row.python.get(platform, ()))
            if was_tags != now_tags:
                lines.append(f"torch {row.version}: Python on {platform}: {_set_change(was_tags, now_tags)}")
        for platform in sorted(known.wheels.keys() | row.wheels.keys()):
            was_wheel, now_wheel = known.wheels.get(platform), row.wheels.get(platform)
            if was_wheel is None or now_wheel is None:
                lines.append(f"torch {row.version}: {platform} wheel {'gone' if now_wheel is None else 'new'}")
                continue
            for field in ("file", "local", "cuda", "flags", "requires", "glibc", "cxx11_abi"):
                was, now = getattr(was_wheel, field), getattr(now_wheel, field)
                if field == "requires" and set(was) != set(now):
                    lines.append(f"torch {row.version}: {platform} requires: {_set_change(set(was), set(now))}")
                elif field != "requires" and was != now:
                    lines.append(f"torch {row.version}: {platform} {field} was {was}, is {now}")
    return lines


def _companion_differences(old: CompanionTable, new: CompanionTable) -> list[str]:
    before = {(row.package, row.version): row for row in old.companions}
    now = {(row.package, row.version): row for row in new.companions}
    lines = [
        f"{row.package} {row.version}: new, {row.date}, requires torch{row.torch or ' (any)'}"
        for key, row in now.items()
        if key not in before
    ]
    lines += [
        f"{row.package} {row.version}: required torch{before[key].torch}, requires torch{row.torch}"
        for key, row in now.items()
        if key in before and before[key].torch != row.torch
    ]
    lines += [
        f"{package} {release}: left out, a newer patch is there"
        for package, release in sorted(before.keys() - now.keys())
    ]
    return lines


def _wheel_differences(old: CompanionWheelTable, new: CompanionWheelTable) -> list[str]:
    before = {row.file: row for row in old.wheels}
    now = {row.file: row for row in new.wheels}
    lines = []
    for name, row in now.items():
        known = before.get(name)
        if known is None:
            cuda = ", ".join(str(major) for major in row.cuda_majors or ()) or (
                "none" if row.cuda_majors == () else "?"
            )
            lines.append(f"{name}: new, {row.date}, CUDA {cuda}")
        elif known != row:
            lines.append(f"{name}: read again, says otherwise than before")
    return lines + [f"{name}: left out, another is read for it" for name in sorted(before.keys() - now.keys())]


def _triton_differences(old: TritonTable, new: TritonTable) -> list[str]:
    before = {row.version: row for row in old.releases}
    return [
        f"triton {row.version}: {'new' if row.version not in before else 'read again'}, {' '.join(row.targets)}"
        for row in new.releases
        if before.get(row.version) != row
    ]


def _published_differences(old: PublishedTable, new: PublishedTable) -> list[str]:
    lines = []
    for package, versions in new.packages.items():
        was = old.packages.get(package, {})
        lines += [f"{package} {release}: new, {day}" for release, day in versions.items() if release not in was]
    return lines


def _set_change(was: set[str], now: set[str]) -> str:
    return " ".join([f"+{item}" for item in sorted(now - was)] + [f"-{item}" for item in sorted(was - now)])


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0 done (with --check: nothing changed), 1 with --check: something changed, 2 it failed."""
    parser = argparse.ArgumentParser(
        prog="python -m envdoctor.knowledge.refresh",
        description="Rebuild what package metadata can rebuild of the knowledge base, and print the differences.",
    )
    parser.add_argument("--index", help=f"package index; else the environment's PIP_INDEX_URL, else {DEFAULT_INDEX}")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the tables")
    parser.add_argument("--only", action="append", choices=TABLES, help="rebuild this table only; repeatable")
    parser.add_argument("--reread", action="store_true", help="read known wheels again too")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where something changed")
    options = parser.parse_args(arguments)
    registry = Registry(options.index or os.environ.get("PIP_INDEX_URL") or DEFAULT_INDEX)
    try:
        differences = refresh(
            registry,
            options.data,
            options.only or TABLES,
            today=datetime.now(timezone.utc).date().isoformat(),
            progress=lambda text: _say(text, sys.stderr),
            reread=options.reread,
            write=not options.check,
        )
    except (EnvdoctorError, OSError, msgspec.MsgspecError) as error:
        _say(f"refresh: {error}", sys.stderr)
        return 2
    for line in differences:
        _say(line, sys.stdout)
    _say(f"{len(differences)} differences" if differences else "nothing changed", sys.stderr)
    today = datetime.now(timezone.utc).date()
    for age in Freshness().all:
        if age.kept == "by hand" and age.stale(today):
            _say(f"stale: {age.table}.json is of {age.as_of}; {age.to_do} (from {age.reads})", sys.stderr)
    return 1 if options.check and differences else 0


def _say(text: str, stream: Any) -> None:
    stream.write(text + "\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main())
