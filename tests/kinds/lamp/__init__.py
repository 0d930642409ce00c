"""The kind `lamp`, which exists in tests only and has nothing in common with a repository.

    kind: lamp
    room: kitchen

It shows what a kind may be: two things in git, one of them called like one of a project's; a secret that a
person seals; reasons to wait of its own; no proof from outside, so that its room is what it is.
"""
