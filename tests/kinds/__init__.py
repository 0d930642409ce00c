"""What is tested of each kind, in a folder of its name: cases as data, evidence for the contract, tests.

A kind is two folders, `reconciler/kinds/<kind>` and `tests/kinds/<kind>`, and one line of
`reconciler/kinds/__init__.py`.
"""
