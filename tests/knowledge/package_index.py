"""A package index on localhost that answers as PyPI answered when its answers were recorded (tests/knowledge/recorded).

Index pages are PyPI's own, cut to a few files. Wheels are made here, around the recorded METADATA and version.py: the
two libraries hold what the real ones hold at the places that are read, between bytes that are not read.
"""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from tests.fakes.build import compile_here

RECORDED = Path(__file__).parent / "recorded"
ARCH_FLAGS = {
    "x86_64": b"sm_75 sm_80 sm_86 sm_90 sm_100 sm_120",
    "aarch64": b"sm_80 sm_90 sm_100 sm_110 sm_120",
}
NEW_ABI = b"_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"


class PackageIndex:
    """What the server has and how it behaves; a test changes either and looks at `asked`."""

    def __init__(self) -> None:
        self.projects: dict[str, list[dict[str, Any]]] = {
            path.stem: json.loads(path.read_text())["files"] for path in RECORDED.glob("*.json")
        }
        self.asked: list[str] = []
        self.failures: dict[str, list[int]] = {}
        """path -> statuses to answer with, one a request, before it answers properly"""
        self.ranges = True
        self.html = False
        self.url = ""

    def page(self, project: str) -> bytes:
        files = self.projects.get(project, [])
        return json.dumps({"meta": {"api-version": "1.1"}, "name": project, "files": files}).encode()

    def wheels_asked(self) -> list[str]:
        return [path.rpartition("/")[2] for path in self.asked if path.endswith(".whl")]


def make_wheel(filename: str) -> bytes:
    """A wheel of that name around its recorded metadata; KeyError-free: a wheel that was not recorded has none."""
    name, release = filename.split("-")[:2]
    archive = io.BytesIO()
    noise = random.Random(filename)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as wheel:
        for number in range(200):
            wheel.writestr(f"{name}/part_{number}.py", noise.randbytes(300))
        if name == "torch":
            machine = re.search(r"(x86_64|aarch64)\.whl$", filename)
            if machine:
                # Past a megabyte, so that the string lies across the reader's chunks.
                before = noise.randbytes((1 << 20) - 12)
                wheel.writestr(
                    "torch/lib/libtorch_python.so", before + ARCH_FLAGS[machine[1]] + b"\0" + noise.randbytes(4096)
                )
                wheel.writestr("torch/lib/libc10.so", b"\x7fELF" + NEW_ABI + b"\0")
            wheel.writestr("torch/version.py", (RECORDED / f"{filename}.version.txt").read_bytes())
        if name == "torchaudio" and (RECORDED / f"{filename}.version.txt").exists():
            wheel.writestr("torchaudio/version.py", (RECORDED / f"{filename}.version.txt").read_bytes())
            if "linux" in filename:
                library = shared_object("libtorch.so", "libcudart.so.13")
                wheel.writestr("torchaudio/lib/libtorchaudio.so", library)
        wheel.writestr(f"{name}-{release}.dist-info/METADATA", (RECORDED / f"{filename}.metadata").read_bytes())
    return archive.getvalue()


@cache
def shared_object(*needed: str) -> bytes:
    """A shared object that asks the loader for these libraries."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "empty.c").write_text("int nothing;\n")
        for library in needed:
            compile_here(folder, "-nostdlib", "-o", library, f"-Wl,-soname,{library}", "empty.c")
        compile_here(folder, "-nostdlib", "-o", "made.so", "-Wl,--no-as-needed", "empty.c", *needed)
        return (folder / "made.so").read_bytes()


@contextmanager
def serve() -> Iterator[PackageIndex]:
    """The index, listening; `url` is its base."""
    index = PackageIndex()
    wheels: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            if index.failures.get(self.path):
                self.send_error(index.failures[self.path].pop(0))
                return
            if match := re.fullmatch(r"/simple/([^/]+)/", self.path):
                self._page(match[1])
            elif self.path.endswith(".metadata"):
                self._send(200, (RECORDED / self.path.rpartition("/")[2]).read_bytes(), {})
            else:
                self._wheel(self.path.rpartition("/")[2])

        def _page(self, project: str) -> None:
            if index.html:
                self._send(200, b"<!DOCTYPE html><html></html>", {"Content-Type": "text/html"})
            else:
                self._send(200, index.page(project), {"Content-Type": "application/vnd.pypi.simple.v1+json"})

        def _wheel(self, filename: str) -> None:
            body = wheels.setdefault(filename, make_wheel(filename))
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if not asked or not index.ranges:
                self._send(200, body, {})
                return
            first, last = int(asked[1]), min(int(asked[2]), len(body) - 1)
            self._send(206, body[first : last + 1], {"Content-Range": f"bytes {first}-{last}/{len(body)}"})

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):  # the reader has what it wanted and hung up
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent: `asked` is the log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        index.url = f"http://127.0.0.1:{server.server_port}/simple"
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield index
        finally:
            server.shutdown()
            thread.join()
