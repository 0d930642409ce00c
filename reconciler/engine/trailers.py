"""Lines at the end of commit messages that mean something to us."""

from __future__ import annotations

COMMIT_TRAILER = "Reconciler-Pass"
"""Ends the message of every commit that a pass makes; its value is the `pass_id` of the log."""
OFFBOARD_TRAILER = "Offboard"
"""`Offboard: project/acme-widgets` names items that are to go; people may write it, too."""
