"""Answers questions about what goes with what: GPU, driver, CUDA, torch, Python, C library, platform."""

from __future__ import annotations

from envdoctor.knowledge.compat.answer import SCHEMA, Answer, Change, Fact, Reason
from envdoctor.knowledge.compat.combine import answer
from envdoctor.knowledge.compat.question import Question, parse, platform_named

__all__ = ["SCHEMA", "Answer", "Change", "Fact", "Question", "Reason", "answer", "parse", "platform_named"]
