"""Errors that are part of the interface: each becomes one line on stderr and a documented exit code."""

from __future__ import annotations


class EnvdoctorError(Exception):
    """Base of all errors that the user can do something about."""

    exit_code = 2


class InputError(EnvdoctorError):
    """The command line or an input file cannot be used; the message says why and what to do (exit code 2)."""
