"""Finds a GPU by the name that nvidia-smi, lspci or a person writes.

A name is cut into words ("rtx4090ti" is RTX, 4090, TI; "80 GB" is 80GB) and matched in steps: the same words, the same
words but for a brand (NVIDIA, GeForce, Tesla, Quadro, RTX, GTX), and last every GPU that has all the words, which is
a family ("V100"). Only GPUs of one compute capability may be one answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from envdoctor.knowledge.errors import AmbiguousGpu, UnknownGpu

_BRANDS = frozenset({"geforce", "tesla", "quadro", "rtx", "gtx", "gt"})
# Words that say nothing about which GPU it is; "lhr" and "lite hash rate" are lspci's for mining-limited GeForce.
_NOISE = frozenset(
    {"nvidia", "corporation", "corp", "inc", "gpu", "gpus", "nvgpu", "graphics", "card", "device", "vga", "compatible"}
    | {"controller", "3d", "display", "adapter", "accelerator", "generation", "edition", "design", "with"}
    | {"lite", "hash", "rate", "lhr", "rev", "superchip"}
)
# Of machines and of cloud labels: "DGX A100", "nvidia-h100-mega-80gb". Aliases may mean more by them, so they go last.
_SYSTEMS = frozenset({"dgx", "hgx", "mega"})
# A name of these alone is no GPU, whichever names of GPUs they are part of.
_ARCHITECTURES = frozenset(
    {"kepler", "maxwell", "pascal", "volta", "turing", "ampere", "ada", "lovelace", "hopper", "blackwell", "rubin"}
)
# What NVIDIA never sold; "M10" and "M4" are its own, so Apple's chips are known by their second word only.
_OTHER_MAKER = re.compile(
    r"\b(?:amd|radeon|instinct|firepro|vega|rx\s?\d{3,4}|mi\d{2,3}[ax]?|intel|arc|iris|uhd|gaudi|apple|"
    r"m[1-9] (?:pro|max|ultra))\b",
    re.I,
)
_ALIKE = {"s": "super", "mobile": "laptop", "notebook": "laptop", "maxq": "max-q", "pci": "pcie"}
_WORD = re.compile(r"max-?q|[a-z0-9]+")
_GLUED_BRAND = re.compile(r"^(rtx|gtx|gt(?=\d)|tesla|quadro|titan|jetson|geforce)(?=[a-z]?\d|x$|v$|rtx$)(.+)$")
_GLUED_SUFFIX = re.compile(r"^(\d{3,4})(ti|super|s|d|m|gb|laptop|mobile)(super|laptop|mobile)?$")


class Candidate(NamedTuple):
    """A GPU's name cut into words: all of them, and those that are no brand."""

    name: str
    capability: str
    all_words: frozenset[str]
    words: frozenset[str]


def find_gpu(name: str, candidates: Sequence[Candidate], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """The names among `candidates` that `name` means: one, or a family of one capability.

    Raises UnknownGpu, or AmbiguousGpu where the GPUs it fits differ in capability."""
    asked_all = _words(name)
    asked = asked_all - _BRANDS
    if _OTHER_MAKER.search(name):
        raise UnknownGpu(name, (), other_maker=True)
    if asked <= _ARCHITECTURES:
        raise UnknownGpu(name, ())
    for alias, target in aliases.items():
        if _words(alias) - _BRANDS == asked:
            return (target,)
    for wanted_all in _relaxations(asked_all):
        wanted = wanted_all - _BRANDS
        if not wanted:
            break
        # "Quadro RTX 6000" and "GeForce GTX TITAN" are whole names, although their words are part of other ones.
        same = [c for c in candidates if c.all_words == wanted_all]
        if same and _one_capability(same):
            return tuple(c.name for c in same)
        wider = [c for c in candidates if _covers(c.words, wanted)]
        brands = wanted_all & _BRANDS
        branded = [c for c in wider if brands <= c.all_words]
        wider = branded or wider
        if not wider:
            continue
        same = [c for c in wider if c.words == wanted]
        if not _one_capability(wider):
            raise AmbiguousGpu(name, tuple(c.name for c in _nearest_first(wider, wanted)))
        return tuple(c.name for c in (same or wider))
    raise UnknownGpu(name, _suggestions(name, asked, candidates))


def _relaxations(words: frozenset[str]) -> list[frozenset[str]]:
    """The words as written, then without those that some tools add and the driver's list does not have."""
    steps = [words]
    steps += [words - extra for extra in ({"laptop"}, {"max-q"}, {"laptop", "max-q"}) if extra <= words]
    if words & _SYSTEMS:
        steps.append(words - _SYSTEMS)
    memory = {word for word in words if re.fullmatch(r"\d+gb|hbm\w*", word)}
    if memory:
        steps.append(words - memory - _SYSTEMS)
    return steps


def _one_capability(candidates: Sequence[Candidate]) -> bool:
    return len({c.capability for c in candidates}) == 1


def _covers(words: frozenset[str], wanted: frozenset[str]) -> bool:
    """Whether every wanted word is there; "sxm" stands for any SXM generation."""
    return all(word in words or (word == "sxm" and any(w.startswith("sxm") for w in words)) for word in wanted)


def candidate(name: str, capability: str) -> Candidate:
    words = _words(name)
    return Candidate(name, capability, words, words - _BRANDS)


def _words(name: str) -> frozenset[str]:
    text = name.lower()
    if bracket := re.search(r"\[([^\]]+)\]", text):  # lspci: "AD102 [GeForce RTX 4090] (rev a1)"
        text = bracket[1]
    text = re.sub(r"\(rev [0-9a-f]+\)", " ", text)
    text = re.sub(r"\bmig\b.*$", " ", text)  # "A100-SXM4-40GB MIG 1g.5gb" is an A100
    text = re.sub(r"^grid\b", " ", text)
    text = re.sub(r"-\d+[qcabv]$", " ", text)  # a vGPU profile, "A10-24Q"
    text = re.sub(r"(\d+)\s*(?:gib|gb|g)\b", r"\1gb", text)
    text = re.sub(r"max[\s_]q", "max-q", text)
    words: set[str] = set()
    for word in _WORD.findall(text):
        words.update(_unglued(_ALIKE.get(word, word)))
    return frozenset(words - _NOISE)


def _unglued(word: str) -> list[str]:
    if match := _GLUED_BRAND.match(word):
        return [match[1], *_unglued(match[2])]
    if match := _GLUED_SUFFIX.match(word):
        return [_ALIKE.get(part, part) for part in match.groups() if part] if match[2] not in ("m", "gb") else [word]
    return [word]


def _nearest_first(candidates: Sequence[Candidate], wanted: frozenset[str]) -> list[Candidate]:
    return sorted(candidates, key=lambda c: (len(c.words - wanted), c.name))


def _suggestions(name: str, asked: frozenset[str], candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Close spellings first, then GPUs that share a word with digits in it."""
    import difflib  # only a mistake needs it

    by_text = {" ".join(sorted(c.words)): c.name for c in candidates}
    close = [by_text[text] for text in difflib.get_close_matches(" ".join(sorted(asked)), by_text, n=4, cutoff=0.6)]
    numbered = {word for word in asked if re.search(r"\d", word)}
    sharing = [c.name for c in _nearest_first([c for c in candidates if c.words & numbered], asked)]
    return tuple(dict.fromkeys((*close, *sharing)))[:6]
