"""The one error of this benchmark that a run survives."""

from __future__ import annotations


class PeerError(Exception):
    """A peer cannot be installed, exported or run; the message says why in one line."""
