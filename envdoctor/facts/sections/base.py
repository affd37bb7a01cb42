"""The common base of all facts."""

from __future__ import annotations

from typing import Annotated

import msgspec

# What a text holds, which decides what becomes of it before it is shared (facts/redaction.py). A plain `str` is free text, and
# is searched for whatever may be private.
Exact = Annotated[str, msgspec.Meta(extra={"holds": "exact"})]
"""One name, number, version or word of a vendor's, an installer's or ours: judged, and never somebody's."""
Serial = Annotated[str, msgspec.Meta(extra={"holds": "serial"})]
Uuid = Annotated[str, msgspec.Meta(extra={"holds": "uuid"})]
User = Annotated[str, msgspec.Meta(extra={"holds": "user"})]
Group = Annotated[str, msgspec.Meta(extra={"holds": "group"})]
Signer = Annotated[str, msgspec.Meta(extra={"holds": "signer"})]
"""Who signed a kernel module; Ubuntu names its own key after the machine."""


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Immutable facts. Every field has a default, which means unknown; unknown fields are left out of the JSON.

    Fields that a newer envdoctor wrote are ignored on reading.
    """
