"""The real servers of the sandbox; each module knows how to start, prepare and empty one of them.

Each declares its `SYSTEM`; server.py is what they have in common.

They are reached here at their own ports, past the gateway, so that nothing of this is in the request log.
"""
