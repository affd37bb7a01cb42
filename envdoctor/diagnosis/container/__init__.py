"""Diagnoses of the container layer: one file each, named as its code."""
