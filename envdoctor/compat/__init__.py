"""Answers questions about what goes with what: GPU, driver, CUDA, torch, Python, C library, platform."""

from __future__ import annotations

from envdoctor.compat.answer import SCHEMA, Answer, Change, Fact, Reason
from envdoctor.compat.combine import answer
from envdoctor.compat.question import Question, parse, platform_named, wsl_named

__all__ = ["SCHEMA", "Answer", "Change", "Fact", "Question", "Reason", "answer", "parse", "platform_named", "wsl_named"]
