"""Sealed entries that were changed, mixed up or put back: refused with a reason, or opened to the very same.

The keys are new in each run, and sealing is random by nature; what is done to the entries follows from the
seed.
"""

from __future__ import annotations

import base64
import json
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

import pyrage
import yaml
from pydantic import SecretStr

from reconciler.crypto.sealing import Opened, generate_identity, recipient_of, seal, unseal
from reconciler.engine.contract import SealedForm
from reconciler.git.status_text import dump_status, load_status
from reconciler.model.errors import InvalidFile
from reconciler.model.item import ItemId
from tests.fuzz import hostile
from tests.fuzz.figures import Figures, Harm
from tests.fuzz.mutation import mutated
from tests.fuzz.worlds import NOW
from tests.kinds.everyone import EVERYONE

CANARY = "canary-5b1d"
REQUEST = "request-7-2"
_BEGIN, _END = "-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"


@dataclass(frozen=True, eq=False)
class Entry:
    """What a person sealed as asked, and what is known of it: for which item, for whom, and what it says."""

    item: ItemId
    form: SealedForm
    identity: SecretStr
    fields: Mapping[str, str | int]
    text: str

    def sealed(self, plain: bytes, identity: SecretStr | None = None) -> str:
        """Return any plaintext as an entry, for us or for somebody else."""
        key = pyrage.x25519.Recipient.from_str(recipient_of(identity or self.identity))
        return pyrage.encrypt(plain, [key], armored=True).decode()

    def plain(self, **other: Any) -> bytes:
        """Return the plaintext of the entry, with some of it said otherwise."""
        said = {self.item.kind: self.item.slug, "requestId": REQUEST, **self.fields, **other}
        return json.dumps(said).encode()


Harmed: TypeAlias = Callable[[Entry, Random], tuple[str, bool]]
"""Returns a changed entry, and whether it may still be opened."""


def run(figures: Figures, random: Random, size: int) -> None:
    """Try so many changed entries of every kind that asks for any; of every eighth, what is handed in."""
    entries = [
        _entry(ItemId(kind.name, "acme"), resource.sealed)
        for kind in EVERYONE.values()
        for resource in kind.resources
        if resource.sealed
    ]
    for number in range(size):
        entry = entries[number % len(entries)]
        if number // len(entries) % 8 == 7:
            content = mutated(_handed_in(entry.form), random)
            figures.attempt(content, lambda: _judge_handed_in(entry, content))  # noqa: B023 - called at once
            continue
        text, may_open = random.choice(_WAYS)(entry, random)
        figures.attempt(text, lambda: judge(entry, text, may_open=may_open))  # noqa: B023 - called at once


def judge(entry: Entry, text: str, *, may_open: bool) -> Iterable[str]:
    """Return why an entry is refused; Harm where it says something else, or a word of it is told."""
    found = unseal(text, [entry.identity], entry.item)
    _check_secret(repr(found))
    if not isinstance(found, Opened):
        _check_secret(found.sentence)
        return [found.sentence]
    if found.request_id != REQUEST:
        return [f"for another request: {found.request_id}"]
    if not may_open:
        raise Harm("was opened")
    if found.fields != entry.fields:
        raise Harm("says something else than what was sealed")
    return ()


def _judge_handed_in(entry: Entry, content: bytes) -> Iterable[str]:
    answer = entry.form.read(content, NOW)
    if isinstance(answer, str):
        _check_secret(answer)
        return [answer]
    _check_secret(repr({name: value for name, value in answer.items() if isinstance(value, SecretStr)}))
    opened = unseal(
        seal(recipient_of(entry.identity), answer, item=entry.item, request_id=REQUEST),
        [entry.identity],
        entry.item,
    )
    if not isinstance(opened, Opened) or opened.fields.keys() != answer.keys():
        raise Harm("is taken, and cannot be opened again")
    return ()


def _check_secret(told: str) -> None:
    if CANARY in told:
        raise Harm(f"tells what was sealed: {told[:200]}")


def _entry(item: ItemId, form: SealedForm) -> Entry:
    read = form.read(_handed_in(form), NOW)
    assert not isinstance(read, str), f"{item.kind}: its made-up secret is not taken: {read}"
    plain = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in read.items()
    }
    fields = {**plain, "note": CANARY}
    identity = generate_identity()
    text = seal(recipient_of(identity), fields, item=item, request_id=REQUEST)
    return Entry(item, form, identity, fields, text)


def _handed_in(form: SealedForm) -> bytes:
    """Return the form's made-up secret, with a text in it that can be found again."""
    made_up = json.loads(form.made_up)
    return json.dumps(
        {name: CANARY if isinstance(value, str) else value for name, value in made_up.items()}
    ).encode()


# -- what becomes of entries -----------------------------------------------------------------------


def _changed(entry: Entry, random: Random) -> tuple[str, bool]:
    return mutated(entry.text.encode(), random).decode("utf-8", "replace"), True


def _reformatted(entry: Entry, random: Random) -> tuple[str, bool]:
    tools: list[Callable[[str], str]] = [
        lambda text: text.replace("\n", "\r\n"), lambda text: text.replace("\n", "\r"), str.rstrip,
        lambda text: text.replace("\n", "  \n\n"), lambda text: text.replace("\n", " "),
        lambda text: f"\ufeff\n{text}",
        lambda text: textwrap.indent(text, "\t "), lambda text: "\n".join(textwrap.wrap(text, 30)),
    ]  # fmt: skip
    return random.choice(tools)(entry.text), True


def _rewritten(entry: Entry, random: Random) -> tuple[str, bool]:
    """Write it into a status file, as other programs would write that."""
    section = {"state": "pending", "sealed": entry.text}
    ways: list[Callable[[], bytes]] = [
        lambda: dump_status({"login": section}),
        lambda: yaml.safe_dump({"login": section}, width=random.randint(20, 200)).encode(),
        lambda: yaml.safe_dump({"login": section}, default_style=random.choice("\"'|")).encode(),
        lambda: json.dumps({"login": section}).encode(),
        lambda: mutated(dump_status({"login": section}), random),
    ]
    try:
        document = load_status("status/x.yaml", random.choice(ways)())
    except InvalidFile:
        return "", False
    login = document.get("login")
    found = login.get("sealed") if isinstance(login, dict) else None
    return (found, True) if isinstance(found, str) else ("", False)


def _with_changed_bytes(entry: Entry, random: Random) -> tuple[str, bool]:
    content = bytearray(_binary(entry.text))
    for _ in range(random.randint(1, 3)):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return _armored(bytes(content)), True


def _cut_off(entry: Entry, random: Random) -> tuple[str, bool]:
    content = _binary(entry.text)
    return _armored(content[: random.randrange(len(content))]), False


def _made_longer(entry: Entry, random: Random) -> tuple[str, bool]:
    return _armored(_binary(entry.text) + random.randbytes(random.randint(1, 40))), False


def _spliced(entry: Entry, random: Random) -> tuple[str, bool]:
    """Put the head of one entry before the content of another one, for the same key."""
    one, other = _binary(entry.text), _binary(entry.sealed(entry.plain()))
    place = random.choice((one.index(b"\n--- ") + 1, len(one) // 2, len(one) - 40))
    return _armored(one[:place] + other[place:]), False


def _for_somebody_else(entry: Entry, random: Random) -> tuple[str, bool]:
    stranger = generate_identity()
    text = entry.sealed(entry.plain(), stranger)
    if random.random() < 0.5:
        return text, False
    # Its one recipient renamed to ours.
    ours, theirs = (
        re.findall(rb"-> X25519 (\S+)", _binary(each))[0]
        for each in (entry.text, text)
    )  # fmt: skip
    return _armored(_binary(text).replace(theirs, ours)), False


def _of_another_sort(entry: Entry, random: Random) -> tuple[str, bool]:
    sort = random.choice([b"scrypt", b"ssh-ed25519", b"x25519", b"piv-p256"])
    return _armored(_binary(entry.text).replace(b"-> X25519 ", b"-> " + sort + b" ")), False


def _of_another_item(entry: Entry, random: Random) -> tuple[str, bool]:
    kind, slug = entry.item.kind, entry.item.slug
    said: Any = random.choice([f"{slug}-2", "", None, [slug], slug.upper(), f"{slug} "])
    return entry.sealed(entry.plain(**{kind: said})), False


def _of_another_kind(entry: Entry, random: Random) -> tuple[str, bool]:
    said: dict[str, Any] = {random.choice(["other", "kind"]): entry.item.slug, "requestId": REQUEST}
    said |= entry.fields
    return entry.sealed(json.dumps(said).encode()), False


def _of_another_request(entry: Entry, random: Random) -> tuple[str, bool]:
    request = random.choice(
        [
            None,
            7,
            "",
            "request-7-1",
            "request-7-22",
            f"{REQUEST}\n",
            f" {REQUEST}",
            REQUEST.upper(),
            [REQUEST],
        ]
    )
    return entry.sealed(entry.plain(requestId=request)), False


def _with_a_changed_content(entry: Entry, random: Random) -> tuple[str, bool]:
    """Seal what no form of ours would have: nobody says who sealed a text."""
    plain = mutated(entry.plain(), random)
    try:
        same = json.loads(plain) == json.loads(entry.plain())
    except (ValueError, RecursionError):
        same = False
    # With a field more or another value in one, it is another entry, and as good as the first.
    return (entry.sealed(plain), same) if same else (entry.sealed(_unless_good(plain, entry)), False)


def _unless_good(plain: bytes, entry: Entry) -> bytes:
    try:
        said = json.loads(plain.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return plain
    good = isinstance(said, dict) and (said.get(entry.item.kind), said.get("requestId")) == (
        entry.item.slug,
        REQUEST,
    )
    return b"[]" if good else plain


def _anything(entry: Entry, random: Random) -> tuple[str, bool]:
    body = random.choice(
        [hostile.text(random), base64.b64encode(random.randbytes(random.randint(0, 400))).decode()]
    )
    return random.choice([body, f"{_BEGIN}\n{body}\n{_END}\n", f"{_BEGIN}{_END}", "A" * 70_000]), False


def _binary(text: str) -> bytes:
    return base64.b64decode("".join(text.split("\n")[1:-2]))


def _armored(content: bytes) -> str:
    return f"{_BEGIN}\n{base64.encodebytes(content).decode()}{_END}\n"


_WAYS: tuple[Harmed, ...] = (
    _changed, _changed, _reformatted, _rewritten, _with_changed_bytes, _with_changed_bytes, _cut_off,
    _made_longer, _spliced, _for_somebody_else, _of_another_sort, _of_another_item, _of_another_kind,
    _of_another_request, _with_a_changed_content, _anything,
)  # fmt: skip
