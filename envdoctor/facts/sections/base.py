"""The common base of all facts."""

from __future__ import annotations

import msgspec


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Immutable facts. Every field has a default, which means unknown; unknown fields are left out of the JSON.

    Fields that a newer envdoctor wrote are ignored on reading.
    """
