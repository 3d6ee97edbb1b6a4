# SPDX-License-Identifier: Apache-2.0
"""Errors for the user: the text says what was sought, where, what was found, and what to do."""

from __future__ import annotations


class Problem(Exception):
    """Something that the user should read, without a traceback."""


class UsageError(Problem):
    """A command line that makes no sense; the text ends by naming the help."""


class BindingMissing(Problem, ImportError):
    """The C part of etp is not there, or cannot be loaded."""
