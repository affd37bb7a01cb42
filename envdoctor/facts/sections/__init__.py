"""The sections of a Snapshot: types only. A field is known, known-absent (False, an empty tuple) or unknown (None)."""
