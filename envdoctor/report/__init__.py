"""Findings and facts in words: for people, scripts, issue trackers and CI. Nothing here decides anything."""
