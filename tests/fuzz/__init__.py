"""Hostile input, made from a seed and given to the program's own functions (`make fuzz`).

Each module is one run, or what runs share. A run promises more than that nothing is raised: it says what may
become of an input, and whatever else becomes of it is a defect. Knows no kind by name: what only concerns one
kind's files stands in `tests/kinds/<kind>/fuzz.py`.
"""
