"""Finds the messages that software reports its failures in, in texts of any size."""
