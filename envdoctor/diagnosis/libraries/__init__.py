"""Diagnoses of the libraries layer: one file each, named as its code."""
