"""What is asked, taken out of words: `gpu "RTX 5090" torch 2.6`, or "does torch 2.15 run on a V100 with driver 570?"."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from envdoctor.knowledge.errors import KnowledgeError
from envdoctor.knowledge.versions import cuda_key, python_tag, specifier, version

PLATFORMS = ("linux_x86_64", "linux_aarch64", "windows_amd64", "windows_arm64", "macos_arm64", "macos_x86_64")

_NUMBER = r"\d+(?:\.\d+)*"
_IS = r"(?:\s*(?:version|branch|toolkit|runtime|release|wheel|is|==|=|:|v))*\s*"
_TORCH = re.compile(rf"\b(?:py)?torch{_IS}([<>=!~]*\s*\d[\w.*+]*(?:\s*,?\s*[<>=!~]+\s*\d[\w.*]*)*)")
_DRIVER = (re.compile(rf"\bdrivers?{_IS}r?(\d{{3}}(?:\.\d+)*)\b"), re.compile(r"\br(\d{3})\b"))
_DRIVER_AFTER = re.compile(r"(?<![\w.])r?(\d{3}(?:\.\d+)*)\s+drivers?\b")
_CUDA = (re.compile(rf"\bcuda{_IS}({_NUMBER})\b"), re.compile(r"\bcu(\d{3})\b"))
_PYTHON = (re.compile(rf"\b(?:c?python|py){_IS}(\d\.\d+(?:\.\d+)?t?)\b"), re.compile(r"\bcp(3\d+t?)\b"))
_GLIBC = re.compile(rf"\bglibc{_IS}(\d\.\d+)\b")
_PLATFORM = (
    (
        re.compile(
            r"\b(windows_arm64|win_arm64|windows (?:11 )?on arm(?:64)?|windows (?:11 )?arm(?:64)?|arm(?:64)? windows)\b"
        ),
        "windows_arm64",
    ),
    (re.compile(r"\b(windows|win_amd64|win)\b(?:\s*1[01])?"), "windows_amd64"),
    (re.compile(r"\b(linux_aarch64|aarch64|arm64 linux|linux arm64|sbsa)\b"), "linux_aarch64"),
    (re.compile(r"\b(macos_x86_64|intel mac)\b"), "macos_x86_64"),
    (re.compile(r"\b(macos_arm64|macos|mac|apple silicon)\b"), "macos_arm64"),
    (
        re.compile(
            r"\b(linux_x86_64|linux|x86_64|amd64|wsl2?|(?:ubuntu|debian|rhel|rocky|fedora|centos|sles)(?:\s*[\d.]+)?)\b"
        ),
        "linux_x86_64",
    ),
)
# A name that is asked about cannot consist of these; they only carry the sentence.
_FILLER = frozenset(
    {
        "does",
        "do",
        "will",
        "would",
        "can",
        "could",
        "is",
        "are",
        "was",
        "run",
        "runs",
        "running",
        "work",
        "works",
        "working",
    }
    | {
        "support",
        "supports",
        "supported",
        "compatible",
        "with",
        "on",
        "in",
        "for",
        "a",
        "an",
        "the",
        "my",
        "this",
        "that",
    }
    | {
        "these",
        "have",
        "has",
        "i",
        "we",
        "you",
        "it",
        "its",
        "and",
        "or",
        "of",
        "to",
        "at",
        "using",
        "use",
        "used",
        "need",
    }
    | {
        "needs",
        "needed",
        "which",
        "what",
        "newest",
        "latest",
        "best",
        "any",
        "be",
        "if",
        "machine",
        "server",
        "computer",
    }
    | {
        "system",
        "from",
        "under",
        "get",
        "gpu",
        "gpus",
        "card",
        "cards",
        "graphics",
        "there",
        "still",
        "together",
        "go",
        "goes",
    }
    | {"platform", "os", "version", "versions", "install", "installed", "nvidia", "please"}
)


# Packages beside torch that are a subject of their own, by the names people give them, and torch's nightly builds.
_PACKAGES = {
    "cudnn": "cudnn",
    "triton": "triton",
    "torchvision": "torchvision",
    "torchaudio": "torchaudio",
    "torchcodec": "torchcodec",
    "torchtext": "torchtext",
    "xformers": "xformers",
    "vllm": "vllm",
    "bitsandbytes": "bitsandbytes",
    "onnxruntime": "onnxruntime-gpu",
    "onnxruntime-gpu": "onnxruntime-gpu",
    "ctranslate2": "ctranslate2",
    "nightly": "nightly",
    "nightlies": "nightly",
}
_PACKAGE = re.compile(rf"({'|'.join(sorted(_PACKAGES, key=len, reverse=True))}){_IS}v?({_NUMBER}[\w.]*)?")
_WHICH_TORCH = re.compile(
    r"\b(?:which|what|newest|latest|best|any) +(?:version +of +)?(?:py)?torch\b(?! *[<>=!~]* *\d)"
)
_NIGHTLY = re.compile(r"\.?dev\d+$")


class CompatQuestion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is asked about. Versions are strings as the user wrote them; `torch` may be a requirement (">=2.4,<2.8");
    `gpus` are names, PCI ids in brackets of lspci, or capabilities ("sm_90", "9.0"). `package`: another package, or
    "nightly", asked about alone, and its `release`. `which_torch`: the answer is to name a torch."""

    gpus: tuple[str, ...] = ()
    torch: str | None = None
    driver: str | None = None
    cuda: str | None = None
    python: str | None = None
    glibc: str | None = None
    platform: str | None = None
    wsl: bool = False
    """Linux wheels on Windows' driver, whose numbers count then."""
    package: str | None = None
    release: str | None = None
    which_torch: bool = False

    @property
    def subjects(self) -> tuple[str, ...]:
        """The kinds of thing asked about, of gpu, torch, driver, cuda, python, glibc and package; a platform alone asks
        nothing."""
        given = {"gpu": self.gpus} | {
            name: getattr(self, name) for name in ("torch", "driver", "cuda", "python", "glibc", "package")
        }
        return tuple(name for name, value in given.items() if value)

    def checked(self) -> CompatQuestion:
        """Itself, once everything that should be a version is one. KnowledgeError otherwise."""
        for name in ("torch", "driver", "cuda", "python", "glibc", "platform"):
            if getattr(self, name) == "":
                raise KnowledgeError(f"{name} is empty: give a value")
        if self.torch is not None:
            specifier(self.torch)
        if self.driver is not None:
            version(self.driver)
        if self.cuda is not None:
            cuda_key(self.cuda)
        if self.python is not None:
            python_tag(self.python)
        if self.glibc is not None:
            version(self.glibc)
        if self.release is not None:
            version(self.release)
        if self.platform is not None and self.platform not in PLATFORMS:
            raise KnowledgeError(f"{self.platform!r} is not a platform: write one of {', '.join(PLATFORMS)}")
        return self


def parse(words: Iterable[str]) -> CompatQuestion:
    """Takes the versions out of the words and reads what is left as GPU names. KnowledgeError where a keyword has no
    value ("torch" alone) or nothing is asked at all."""
    text = " " + re.sub(r"[?!;]", " ", " ".join(words)).strip() + " "
    found: dict[str, str | None] = {}
    if match := _PACKAGE.fullmatch(text.strip().lower()):
        return CompatQuestion(package=_PACKAGES[match[1]], release=match[2]).checked()
    which_torch = _WHICH_TORCH.search(text.lower()) is not None

    torch, text = _take(text, (_TORCH,))
    cuda_of_torch = None
    if torch is not None:
        torch = re.sub(r"(?<=[\w*])\s+(?=[<>=!~])", ",", torch)
        torch = re.sub(r"\s+", "", torch).rstrip(".,").removeprefix("==")
        torch, _, local = torch.partition("+")
        cuda_of_torch = local if re.fullmatch(r"cu\d{3}", local) else None
        # A nightly is judged as the release that it leads to.
        torch = _NIGHTLY.sub("", torch)
    found["torch"] = torch
    found["cuda"], text = _take(text, _CUDA)
    found["cuda"] = _dotted_cuda(found["cuda"] or cuda_of_torch)
    found["driver"], text = _take(text, _DRIVER)
    if found["driver"] is None:
        found["driver"], text = _take(text, (_DRIVER_AFTER,))
    found["python"], text = _take(text, _PYTHON)
    found["glibc"], text = _take(text, (_GLIBC,))
    platform, wsl = platform_named(text), wsl_named(text)
    for pattern, name in _PLATFORM:
        if name == platform:
            text = pattern.sub(" ", text.lower()) if pattern.search(text.lower()) else text
    lone = re.search(rf"\b({_KEYWORDS})\b\s*(\S*)", text.lower())
    if lone:
        _refuse_stray(lone[1], lone[2], asked_already=found.get(lone[1].removesuffix("s")) is not None)
    text = re.sub(rf"(?i)\b({_KEYWORDS})\b", " ", text)
    gpus = tuple(name for part in re.split(r"(?i),|\band\b|\bgpus?\b|\+|&", text) if (name := _gpu_name(part)))
    if lone and not gpus and not any(found.values()):
        raise KnowledgeError(f"{lone[1]!r} needs a version after it, as in {_EXAMPLES[lone[1]]!r}")
    question = CompatQuestion(gpus=gpus, platform=platform, wsl=wsl, which_torch=which_torch, **found)
    if not question.subjects:
        raise KnowledgeError('ask about a GPU, torch, driver, CUDA or Python: gpu "RTX 5090", torch 2.6 driver 535')
    return question.checked()


def _refuse_stray(keyword: str, word: str, *, asked_already: bool) -> None:
    """Stops where a keyword is left with something after it that is neither its version nor the name of a GPU."""
    number = re.fullmatch(r"[-+\d.]+", word)
    if number and asked_already:
        raise KnowledgeError(f"{keyword} is asked about twice: ask one question at a time")
    plain = word and not re.search(r"\d", word) and word not in _FILLER and not re.match(_KEYWORDS, word)
    if number or plain:
        raise KnowledgeError(f"{word!r} is not a version: write {_EXAMPLES[keyword]!r}")


def platform_named(text: str) -> str | None:
    """The platform that words mean: "Windows", "linux_aarch64", "arm64 linux"; None where none is named."""
    for pattern, name in _PLATFORM:
        if pattern.search(text.lower()):
            return name
    return None


def wsl_named(text: str) -> bool:
    """Whether words mean Linux under Windows: "WSL", "wsl2"."""
    return re.search(r"\bwsl ?2?\b", text.lower()) is not None


_KEYWORDS = "pytorch|torch|drivers?|cuda|python|glibc"
_EXAMPLES = {
    "drivers": "driver 535.183",
    "torch": "torch 2.15",
    "pytorch": "torch 2.15",
    "driver": "driver 535.183",
    "cuda": "cuda 12.8",
    "python": "python 3.13",
    "glibc": "glibc 2.31",
}


def _take(text: str, patterns: Iterable[re.Pattern[str]]) -> tuple[str | None, str]:
    for pattern in patterns:
        if match := pattern.search(text.lower()):
            return match[1], text[: match.start()] + " " + text[match.end() :]
    return None, text


def _dotted_cuda(text: str | None) -> str | None:
    """ "128" and "cu128" as "12.8"."""
    if text is None:
        return None
    digits = text.removeprefix("cu")
    return f"{digits[:2]}.{digits[2]}" if re.fullmatch(r"\d{3}", digits) else digits


def _gpu_name(part: str) -> str:
    """The words of a part without those that only carry the sentence, as they were written."""
    words = [word.strip("\"'.:") for word in part.split()]
    while words and words[0].lower() in _FILLER:
        words.pop(0)
    while words and words[-1].lower() in _FILLER:
        words.pop()
    return " ".join(word for word in words if word)
