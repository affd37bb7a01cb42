"""Judges the files that describe an environment before anybody builds it: Dockerfile, Compose, requirements, pyproject, conda."""
