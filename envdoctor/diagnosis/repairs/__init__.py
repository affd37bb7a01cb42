"""Repairs: literal commands for the system at hand. They are printed and never run."""
