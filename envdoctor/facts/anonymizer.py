"""Placeholders for private names and numbers inside texts: the same original, the same placeholder."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

from envdoctor.credentials import CREDENTIALS, without_credentials
from envdoctor.facts.public_names import PUBLIC_GROUPS, PUBLIC_HOSTS, PUBLIC_PATH, RESERVED

REDACTED = "<redacted>"
_EMAIL = "someone@example.com"

_UUID = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE
)
_NO_UUID = "00000000-0000-0000-0000-"
_URL = re.compile(
    r"\b((?:[a-z][a-z0-9+.-]*\+)?(?:https?|ftps?|s3|gs|ssh|git|tcp|rsync|socks5h?)://)"
    r"((?:<credentials>|[^\s/@\"'<>]+)@)?([^\s/:?#\"'<>,;)\]]+)(:\d+)?([^\s\"'<>,;)\]]*)",
    re.IGNORECASE,
)
_UNIX_HOME = re.compile(
    r"(/(?:home|homes|Users|users|Home))/([^/\s:;,'\"()<>\[\]|*?{}]+?)(?=\.?(?:[/\s:;,'\"()<>\[\]|*?{}]|$))"
)
_WINDOWS_HOME = re.compile(r"([a-z]:[\\/]+users[\\/]+)([^\\/:*?\"'<>|\r\n]+)(?=[\\/:;\"']|$)", re.IGNORECASE)
_MAIL = re.compile(r"(?<![\w.+/-])(?!git@)[\w.+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b", re.IGNORECASE)
_MAC = re.compile(r"(?<![0-9a-f:])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![0-9a-f:])", re.IGNORECASE)
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(?![\w.]*\d)(?!\.so)")
# 'node17:4711:4720 [0] NCCL INFO ...'
_NCCL_HOST = re.compile(r"^([\w.-]+)(?=:\d+:\d+ \[\d+\] NCCL )", re.MULTILINE)
# 'Nov  3 10:00:00 node17 kernel: ...' and '2026-11-03T10:00:00.123456+01:00 node17 kernel: ...'
_SYSLOG_HOST = re.compile(
    r"^((?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?) )"
    r"([\w.-]+)(?= [\w./-]+(?:\[\d+\])?: )",
    re.MULTILINE,
)
# 'alice@node17:~/work$ ', '[alice@node17 work]# ', with an environment's name before it
_PROMPT = re.compile(
    r"((?:^|[\s\[])(?:\([^()\n]{1,60}\) ?)?\[?)([\w.-]+)@([\w.-]+)(?=:[~/]|[ :][^\s\]]{0,80}\][$#%]|:?[$#%>] )",
    re.MULTILINE,
)
# Names in domains that are private by their ending; and, in any, of machines that are numbered.
_PRIVATE_NAME = re.compile(
    r"(?<![\w./@-])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+"
    r"(?:local|localdomain|lan|internal|intern|intra|intranet|corp|private|priv|cluster|home\.arpa|consul|ts\.net)\b(?![.\w(-])"
    r"|(?<![\w./@-])(?=[a-z-]*\d)[a-z][a-z0-9-]{1,61}\.(?:[a-z0-9-]{2,62}\.)+(?:com|org|net|edu|gov|mil|io|ai|eu|de|fr|uk|ch|nl|jp|cn|in)\b(?![.\w(-])",
    re.IGNORECASE,
)
_SERIAL = re.compile(
    r"(\bserial(?: ?(?:number|no\.?|#))?\s{0,3}[:=#]?\s{0,8})(?=[\w-]*\d{4})([A-Z0-9][\w-]{6,40})\b", re.IGNORECASE
)
# Numbers of four parts are versions more often than addresses here. What stands right before one, or around it, tells.
_OPERATOR = re.compile(r"(?:[=<>~!^_/\\-]\s*|\.so\.)v?$", re.IGNORECASE)
_TO_AN_ADDRESS = re.compile(
    r"(?:\b(?:connect\w*|address\w*|host(?:s|name)?|from|to|at|ip|bind|listen\w*|server|proxy|via|ping|route|gateway|\w+addr)\b|[a-z]+\d:|@)"
    r"[\s:='\"(\[]*$",
    re.IGNORECASE,
)
_OF_A_VERSION = re.compile(
    r"(?<![a-z])(?:versions?|releases?|runtime|driver|toolkit|against|with|than|needs?|requires?|cu(?:da|dnn|blas|fft|rand|solver|sparse)"
    r"|nccl|nvidia|torch|tensorrt|library)(?![a-z])|(?<![a-z])(?:lib)?nv[a-z]*-cu\d\d|\.so\b",
    re.IGNORECASE,
)
# RFC 1918, 3927 and 6598. Elsewhere a number of four parts is an address only where what stands around it says so.
_PRIVATE_NETWORK = re.compile(
    r"(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01])|169\.254|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\."
)
_PORT = re.compile(r"\]?:\d{2,5}\b|<\d+>|/\d{1,2}\b|['\")]?, ?\d{4,5}\)")


class _Pool:
    """Placeholders of one kind, numbered as their originals come; a placeholder is its own placeholder."""

    def __init__(self, own: str, make: Callable[[int], str]) -> None:
        self._own = re.compile(own, re.IGNORECASE)
        self._make = make
        self.known: dict[str, str] = {}
        self._taken: set[str] = set()

    def reserve(self, text: str) -> None:
        """Keeps the placeholders of an earlier redaction from being given out again."""
        self._taken.update(match[0].lower() for match in self._own.finditer(text))

    def __getitem__(self, original: str) -> str:
        if self._own.fullmatch(original):
            return original
        key = original.lower()
        if key not in self.known:
            number = len(self.known) + 1
            while self._make(number).lower() in self._taken:
                number += 1
            self.known[key] = self._make(number)
            self._taken.add(self.known[key].lower())
        return self.known[key]


class Anonymizer:
    """First `reserve` and then `learn` every text, then ask for their public forms."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._users = _Pool(r"\buser\d+\b", lambda n: f"user{n}")
        self._groups = _Pool(r"\bgroup\d+\b", lambda n: f"group{n}")
        self._hosts = _Pool(r"\bhost\d+\b", lambda n: f"host{n}")
        self._serials = _Pool(r"\bserial\d+\b", lambda n: f"serial{n}")
        self._uuids = _Pool(rf"\b{_NO_UUID}\d{{12}}\b", lambda n: f"{_NO_UUID}{n:012}")
        self._macs = _Pool(r"\b00:00:00:00:\d\d:\d\d\b", lambda n: f"00:00:00:00:{n // 100 % 100:02}:{n % 100:02}")
        # Networks that are set aside for documentation: RFC 5737 and RFC 3849.
        self._ipv4 = _Pool(r"\b(?:192\.0\.2|198\.51\.100|203\.0\.113)\.\d{1,3}\b", _documentation_address)
        self._ipv6 = _Pool(r"\b2001:db8::[0-9a-f]+\b", lambda n: f"2001:db8::{n:x}")
        self._devices: list[str] = []
        self._names = tuple(dict.fromkeys(names))
        self._word: re.Pattern[str] | None = None

    # --- what is private here ----------------------------------------------------------------------------------------

    def reserve(self, text: str) -> None:
        """Takes note of placeholders that an earlier redaction gave out; of every text before any is learnt from."""
        for pool in (
            self._users,
            self._groups,
            self._hosts,
            self._serials,
            self._uuids,
            self._macs,
            self._ipv4,
            self._ipv6,
        ):
            pool.reserve(text)

    def learn(self, text: str) -> None:
        """Takes note of the users whose homes a text names."""
        for match in (
            *_UNIX_HOME.finditer(_URL.sub(" ", text)),
            *_WINDOWS_HOME.finditer(text),
            *_PROMPT.finditer(text),
        ):
            self.user(match[2])

    def learn_device(self, uuid: str) -> None:
        self.uuids(uuid)
        self._devices.append(uuid)

    def learn_serial(self, serial: str) -> None:
        self.serial(serial)

    # --- whole names ---------------------------------------------------------------------------------------------------

    def user(self, name: str) -> str:
        return name if name.lower() in RESERVED or name.isdecimal() else self._users[name]

    def group(self, name: str) -> str:
        return name if name.lower() in PUBLIC_GROUPS or name.isdecimal() else self._groups[name]

    def host(self, name: str) -> str:
        lower = name.lower().rstrip(".")
        if lower in RESERVED or any(lower == public or lower.endswith(f".{public}") for public in PUBLIC_HOSTS):
            return name
        address = _address(lower.strip("[]"))
        return self._hosts[name] if address is None else self._ip(address)

    def serial(self, number: str) -> str:
        return self._serials[number] if number else number

    def uuids(self, text: str) -> str:
        return _UUID.sub(lambda match: self._uuids[match[0]], text)

    def devices(self, value: str) -> str:
        """A list such as CUDA_VISIBLE_DEVICES, whose entries may be the beginnings of UUIDs: they still name the same."""
        return ",".join(self._device(entry) for entry in value.split(","))

    def _device(self, entry: str) -> str:
        asked = entry.strip().lower()
        if not re.match(r"(?:gpu|mig)-", asked) or _UUID.search(asked):
            return entry
        named = [uuid for uuid in self._devices if uuid.lower().startswith(asked)]
        if len(named) == 1:
            return self.uuids(named[0])
        prefix = asked[:4].upper()
        # Several are named by the beginning that all placeholders share, none by a number that is not given out.
        return f"{prefix}{_NO_UUID}" if named else f"{prefix}{self._uuids[asked]}"

    # --- inside texts --------------------------------------------------------------------------------------------------

    def text(self, text: str) -> str:
        """A text without what is private."""
        text = without_credentials(text)
        pieces, end = [], 0
        for url in _URL.finditer(text):
            pieces += [self._plain(text[end : url.start()]), self._url(url)]
            end = url.end()
        return "".join([*pieces, self._plain(text[end:])])

    def _plain(self, text: str) -> str:
        if not text:
            return text
        text = _PROMPT.sub(lambda match: f"{match[1]}{self.user(match[2])}@{self.host(match[3])}", text)
        text = _SYSLOG_HOST.sub(lambda match: match[1] + self.host(match[2]), text)
        text = _SERIAL.sub(lambda match: match[1] + self.serial(match[2]), text)
        text = _MAIL.sub(_EMAIL, text)
        text = _WINDOWS_HOME.sub(lambda match: match[1] + self.user(match[2]), text)
        text = _UNIX_HOME.sub(lambda match: f"{match[1]}/{self.user(match[2])}", text)
        text = self.uuids(text)
        text = _MAC.sub(lambda match: self._macs[match[0]], text)
        text = _NCCL_HOST.sub(lambda match: self.host(match[1]), text)
        text = _PRIVATE_NAME.sub(lambda match: self.host(match[0]), text)
        text = _IPV6.sub(self._ipv6_match, text)
        text = _IPV4.sub(self._ipv4_match, text)
        return self._words(text)

    def _url(self, url: re.Match[str]) -> str:
        scheme, credentials, host, port, path = url.groups()
        shown = self.host(host)
        if shown == host and not re.fullmatch(r"host\d+", host):
            return f"{scheme}{_credentials(credentials)}{host}{port or ''}{self._plain(path)}"
        segments = path.partition("?")[0].partition("#")[0].split("/")
        kept = (segment if PUBLIC_PATH.fullmatch(segment) else "x" for segment in segments)
        return f"{scheme}{_credentials(credentials)}{shown}{port or ''}{'/'.join(kept)}"

    def _words(self, text: str) -> str:
        """Names that are known from elsewhere, as words of their own; short and common ones mean something else."""
        if self._word is None:
            serials = [serial for serial in self._serials.known if len(serial) > 5]
            hosts = [name.lower() for name in self._names if _telling(name.lower())]
            users = [name for name in self._users.known if _telling(name)]
            words = sorted({*serials, *hosts, *users}, key=len, reverse=True)
            joined = "|".join(re.escape(word) for word in words)
            self._word = re.compile(rf"(?<![a-z0-9])(?:{joined})(?![a-z0-9])" if words else r"(?!)", re.IGNORECASE)
        return self._word.sub(self._known_word, text)

    def _known_word(self, match: re.Match[str]) -> str:
        word = match[0].lower()
        for pool in (self._serials, self._users):
            if word in pool.known:
                return pool.known[word]
        return self._hosts[word]

    def _ipv4_match(self, match: re.Match[str]) -> str:
        line = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()][-80:]
        address = _address(match[1])
        if address is None or _OPERATOR.search(line):
            return match[0]
        telling = _TO_AN_ADDRESS.search(line) or _PORT.match(match.string, match.end())
        private = _PRIVATE_NETWORK.match(address) and not _OF_A_VERSION.search(line)
        return self._ip(address) if telling or private else match[0]

    def _ipv6_match(self, match: re.Match[str]) -> str:
        groups = [group for group in match[0].split(":") if group]
        address = _address(match[0])
        # std::a::b has colons too, and the time of day has digits.
        if address is None or len(groups) < 3:
            return match[0]
        return self._ip(address)

    def _ip(self, address: str) -> str:
        parsed = ipaddress.ip_address(address)
        if parsed.is_loopback or parsed.is_unspecified:
            return address
        return self._ipv4[address] if parsed.version == 4 else self._ipv6[address]


def _documentation_address(number: int) -> str:
    network = ("192.0.2", "198.51.100", "203.0.113")[min(number // 255, 2)]
    return f"{network}.{number % 255}"


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _telling(name: str) -> bool:
    """Whether a name is rare enough to be taken for a person's or a machine's wherever it stands."""
    return len(name) > 3 and name not in RESERVED and not name.isdecimal()


def _credentials(text: str | None) -> str:
    return "" if text is None else text if text == "git@" else f"{CREDENTIALS}@"
