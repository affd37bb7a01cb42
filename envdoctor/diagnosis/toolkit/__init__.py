"""Diagnoses of the toolkit layer: one file each, named as its code."""
