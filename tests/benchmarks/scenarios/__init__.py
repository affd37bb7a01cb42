"""Scripts that run in an interpreter that has torch (the project's own has none) and print one JSON document or events."""
