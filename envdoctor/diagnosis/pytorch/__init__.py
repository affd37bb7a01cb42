"""Diagnoses of the pytorch layer: one file each, named as its code."""
