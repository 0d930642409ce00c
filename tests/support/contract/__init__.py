"""Holds resources to the contract of `reconciler/engine/contract.py`, and holds that to broken twins of them.

It knows no kind and no system by name: all that it looks at is in the evidence that a kind shows.
"""
