"""Texts: what dumps and logs state as facts, and which known messages stand in them."""
