"""A Python package index, read over HTTP with the standard library: file lists (PEP 691) and byte ranges of wheels."""

from __future__ import annotations

import http.client
import io
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from envdoctor.errors import EnvdoctorError

DEFAULT_INDEX = "https://pypi.org/simple"
_ACCEPT = "application/vnd.pypi.simple.v1+json"
_TIMEOUT_S = 60.0
_RETRIES = 4
# A wheel's directory of files is read from its end: 12,000 entries of a torch wheel are about 1.5 MB.
_BLOCK = 256 * 1024

T = TypeVar("T")


class RegistryError(EnvdoctorError):
    """The index cannot be read, or answers with something that is no index."""


class IndexFile(msgspec.Struct, frozen=True, rename="kebab"):
    """One file of a project, as the index lists it. `core_metadata`: whether the index serves METADATA beside it."""

    filename: str
    url: str
    requires_python: str | None = None
    upload_time: str | None = None
    yanked: bool | str = False
    size: int | None = None
    core_metadata: bool | dict[str, str] = False

    @property
    def date(self) -> str:
        """The day of the upload; empty where the index does not say."""
        return (self.upload_time or "")[:10]


class _Project(msgspec.Struct, frozen=True):
    files: tuple[IndexFile, ...]


class Registry:
    """A package index at `base` ("https://pypi.org/simple")."""

    def __init__(self, base: str = DEFAULT_INDEX) -> None:
        self.base = base.rstrip("/")

    def files(self, project: str) -> tuple[IndexFile, ...]:
        """The project's files. RegistryError where the index has no such project or speaks no JSON."""
        url = f"{self.base}/{re.sub(r'[-_.]+', '-', project).lower()}/"
        body = _retrying(lambda: _get(url, {"Accept": _ACCEPT}))
        try:
            found = msgspec.json.decode(body, type=_Project)
        except msgspec.DecodeError as error:
            raise RegistryError(f"{url} does not answer with a JSON index (PEP 691): {error}") from None
        return tuple(msgspec.structs.replace(file, url=urllib.parse.urljoin(url, file.url)) for file in found.files)

    def metadata(self, file: IndexFile) -> str:
        """The METADATA of a wheel: beside it where the index serves that (PEP 658), else out of the wheel."""
        if file.core_metadata:
            return _retrying(lambda: _get(file.url + ".metadata", {})).decode("utf-8")
        with self.wheel(file) as wheel:
            return read_metadata(wheel)

    @contextmanager
    def wheel(self, file: IndexFile) -> Iterator[zipfile.ZipFile]:
        """The wheel as an open archive; only the parts that are read are fetched."""
        reader = io.BufferedReader(_RemoteFile(file.url), _BLOCK)
        with reader, zipfile.ZipFile(reader) as archive:
            yield archive


def read_metadata(wheel: zipfile.ZipFile) -> str:
    """The METADATA file inside an open wheel."""
    names = [name for name in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
    if len(names) != 1:
        raise RegistryError(f"{wheel.filename}: no METADATA inside")
    return wheel.read(names[0]).decode("utf-8")


class _RemoteFile(io.RawIOBase):
    """A file behind a server that answers Range requests. Reading on from where the last read ended goes on with the
    same answer, so that streaming a library out of a wheel is one request."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._position = 0
        self._answer: http.client.HTTPResponse | None = None
        self._answer_at = 0
        self._size = _retrying(self._ask_size)

    def _ask_size(self) -> int:
        with _open(self._url, {"Range": "bytes=0-0"}) as answer:
            total = (answer.headers.get("Content-Range") or "").rpartition("/")[2]
        if answer.status != http.client.PARTIAL_CONTENT or not total.isdecimal():
            raise RegistryError(f"{self._url}: the server does not serve parts of files")
        return int(total)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        body = _retrying(lambda: self._read_some(wanted))
        buffer[: len(body)] = body
        self._position += len(body)
        self._answer_at = self._position
        return len(body)

    def _read_some(self, wanted: int) -> bytes:
        if self._answer is None or self._answer_at != self._position:
            self._hang_up()
            self._answer = _open(self._url, {"Range": f"bytes={self._position}-{self._size - 1}"})
            self._answer_at = self._position
        try:
            body = self._answer.read(wanted)
        except (OSError, http.client.HTTPException):
            self._hang_up()
            raise
        if not body:
            self._hang_up()
            raise ConnectionError(f"{self._url}: the answer ended early")
        return body

    def _hang_up(self) -> None:
        if self._answer is not None:
            self._answer.close()
        self._answer = None

    def close(self) -> None:
        self._hang_up()
        super().close()


def _open(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise RegistryError(f"{url}: only http and https are read")
    # urllib asks for no compression, so a byte range is one of the file itself.
    request = urllib.request.Request(url, headers={"User-Agent": "envdoctor", **headers})  # noqa: S310
    answer = urllib.request.urlopen(request, timeout=_TIMEOUT_S)  # noqa: S310
    if not isinstance(answer, http.client.HTTPResponse):
        raise RegistryError(f"{url}: not answered over HTTP")
    return answer


def _get(url: str, headers: dict[str, str]) -> bytes:
    with _open(url, headers) as answer:
        return answer.read()


def _retrying(ask: Callable[[], T]) -> T:
    """Tries again on network trouble and on errors of the server, with growing pauses; never on "no such thing"."""
    for attempt in range(_RETRIES):
        try:
            return ask()
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            if error.code < 500 and error.code != 429:
                raise RegistryError(f"{error.url}: {error.code} {error.reason}") from None
            reason: Exception = error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = error
        if attempt + 1 < _RETRIES:
            time.sleep(2.0**attempt)
    raise RegistryError(f"the package index does not answer: {reason}")
