"""Answers questions about what goes with what: GPU, driver, CUDA, torch, Python, C library, platform."""

from __future__ import annotations

from envdoctor.compat.answer import SCHEMA, Answer, Fact, JudgedReason, NearestChange
from envdoctor.compat.combine import answer
from envdoctor.compat.question import CompatQuestion, parse, platform_named, wsl_named

__all__ = [
    "SCHEMA",
    "Answer",
    "CompatQuestion",
    "Fact",
    "JudgedReason",
    "NearestChange",
    "answer",
    "parse",
    "platform_named",
    "wsl_named",
]
