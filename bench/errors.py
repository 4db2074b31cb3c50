"""The errors a user can mend, as opposed to faults of the suite."""

from __future__ import annotations


class BenchError(Exception):
    """Bad input: one sentence that says what, where, and which values are valid. Ends the command with exit code 2."""


class DoesNotFit(BenchError):
    """A method cannot keep to the byte budget; the message says which one would do. The cell is skipped."""


class MissingData(BenchError):
    """A dataset is not where it was looked for; the message says where to get it and where to put it."""


class UnreadableClip(Exception):
    """One clip cannot be used (does not decode, empty, too short). It is reported and left out, never fatal."""


class OutOfTime(Exception):
    """The run's time limit passed while a cell was under way; its checkpoint is kept."""
