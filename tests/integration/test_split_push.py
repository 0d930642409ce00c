"""One item's files that a server refuses hold up nobody else's, with a bounded number of pushes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from reconciler.git.edits import Edit, File
from reconciler.git.remote import Declined
from reconciler.git.repository import PushResult
from reconciler.git.split_push import MOST_IN_VAIN, split_push
from reconciler.model.errors import Denied
from reconciler.model.item import ItemId
from tests.integration.test_repository import Place, place
from tests.support.git_server import git

__all__ = ["place"]

HOOK = """
while read old new ref; do
  for path in $(git diff-tree -r --name-only $old $new); do
    case "$path" in {pattern}) echo "{words}" >&2; exit 1;; esac
  done
done
"""


def refuse(place: Place, *slugs: str, words: str = "policy violated") -> None:
    patterns = "|".join(f"envs/{slug}" for slug in slugs)
    place.hook("pre-receive", HOOK.format(pattern=patterns, words=words))


def edits_of(count: int) -> list[Edit]:
    slugs = [f"p{number:03}" for number in range(count)]
    return [File(item=ItemId("project", slug), path=f"envs/{slug}", content=slug.encode()) for slug in slugs]


class Pushing:
    """Pushes to the place, and counts."""

    def __init__(self, place: Place) -> None:
        self._repository = place.repository()
        self._place = place
        self._repository.fetch()
        place.server.requests.clear()

    def __call__(self, edits: Sequence[Edit]) -> PushResult:
        return self._repository.push(edits, "ours")

    @property
    def count(self) -> int:
        return sum(
            request.startswith("POST") and "receive" in request for request in self._place.server.requests
        )


def there(place: Place) -> set[str]:
    return set(git(place.bare, "ls-tree", "--name-only", "main:envs").split())


@pytest.mark.parametrize(
    ("count", "bad", "words", "most"),
    [
        (2, ["p001"], "policy violated", 3),
        (3, ["p000", "p002"], "policy violated", 5),
        (40, ["p017"], "policy violated", 1 + 2 * math.ceil(math.log2(40))),
        (40, ["p001", "p020"], "policy violated", 1 + 4 * math.ceil(math.log2(40))),
        (40, ["p017"], "$path is restricted", 3),
        (40, ["p017", "p020"], "$path is restricted", 7),
    ],
)
def test_what_is_accepted_arrives(place: Place, count: int, bad: list[str], words: str, most: int) -> None:
    place.commit("a", "1")
    refuse(place, *bad, words=words)
    push = Pushing(place)
    result = split_push(push, edits_of(count))
    assert there(place) == {edit.path.removeprefix("envs/") for edit in edits_of(count)} - set(bad)
    assert set(result.refused) == {ItemId("project", slug) for slug in bad}
    assert all(words.rsplit(maxsplit=1)[-1] in str(error) for error in result.refused.values())
    assert len(place.log()) == 1 + len(result.taken)
    assert push.count <= most


def test_one_commit_where_nothing_is_refused(place: Place) -> None:
    place.commit("a", "1")
    push = Pushing(place)
    assert len(split_push(push, edits_of(5)).taken) == 1
    assert push.count == 1


@pytest.mark.parametrize(
    ("words", "most"),
    [
        ("GH006: Protected branch update failed", 1),
        ("Changes must be made through a pull request", 1),
        ("no", MOST_IN_VAIN + 1),
    ],
)
def test_a_server_that_takes_nothing_is_not_asked_for_each(place: Place, words: str, most: int) -> None:
    head = place.commit("a", "1")
    place.hook("pre-receive", f"echo '{words}' >&2; exit 1")
    push = Pushing(place)
    with pytest.raises(Declined, match=words):
        split_push(push, edits_of(40))
    assert push.count <= most
    assert git(place.bare, "rev-parse", "main") == head


def test_refused_credentials_are_no_matter_of_content(place: Place) -> None:
    place.commit("a", "1")
    push = Pushing(place)
    place.server.faults = [403] * 50
    with pytest.raises(Denied):
        split_push(push, edits_of(40))
    assert push.count == 1
