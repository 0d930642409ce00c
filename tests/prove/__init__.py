"""Proofs that nothing is lost, whatever goes wrong (`make prove`).

Each module is one part, or what parts share. A part tries many points and counts what came of each: it
converged, or something was lost, made twice, or said falsely. Knows no kind by name: what only concerns one
kind's items stands in `tests/kinds/<kind>/prove.py`, and all else is its evidence for the contract suite.
"""
