"""Changes files as accidents, merges and strangers do: by bytes, by lines, and by signs of their syntax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeAlias

from tests.fuzz import hostile

_SIGNS = [
    sign.encode()
    for sign in (
        *"{}[]:,-#\"'|>&*!%@?\\/~ \t\n\r",
        *("\r\n", "---\n", "...\n", ": ", "- ", "  ", "//", "/*", "*/", "<<: ", "null", "true"),
        *("\ufeff", "\x00", "\x1b", "\x85", "\u2028", "\xa0", "é", "\\u0000", "\\ud800"),
    )
]
_CONFLICT = b"<<<<<<< ours\n%s=======\n%s>>>>>>> theirs\n"


Change: TypeAlias = Callable[[bytes, Random], bytes]


def mutated(content: bytes, random: Random) -> bytes:
    """Return the file after one to four such changes."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4))):
        content = random.choice(_CHANGES)(content, random)
    return content


def _place(content: bytes, random: Random) -> int:
    return random.randint(0, len(content))


def _cut(content: bytes, random: Random) -> bytes:
    return content[: _place(content, random)]


def _without_a_piece(content: bytes, random: Random) -> bytes:
    start = _place(content, random)
    return content[:start] + content[start + random.choice((1, 1, 2, 5, 20)) :]


def _with_a_flipped_bit(content: bytes, random: Random) -> bytes:
    if not content:
        return content
    place = random.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << random.randrange(8)]) + content[place + 1 :]


def _with_a_sign(content: bytes, random: Random) -> bytes:
    place = _place(content, random)
    sign: bytes = random.choice(_SIGNS)
    return content[:place] + sign + content[place:]


def _with_another_sign(content: bytes, random: Random) -> bytes:
    place = _place(content, random)
    sign: bytes = random.choice(_SIGNS)
    return content[:place] + sign + content[place + 1 :]


def _with_a_value(content: bytes, random: Random) -> bytes:
    place = _place(content, random)
    return content[:place] + hostile.value(random).encode("utf-8", "surrogatepass") + content[place:]


def _with_a_piece_twice(content: bytes, random: Random) -> bytes:
    start = _place(content, random)
    return content[:start] + content[start : start + random.randint(1, 60)] + content[start:]


def _by_lines(change: Callable[[list[bytes], Random], None]) -> Change:
    def changed(content: bytes, random: Random) -> bytes:
        lines = content.splitlines(keepends=True) or [b""]
        change(lines, random)
        return b"".join(lines)

    return changed


def _drop(lines: list[bytes], random: Random) -> None:
    del lines[random.randrange(len(lines))]


def _repeat(lines: list[bytes], random: Random) -> None:
    lines.insert(_index(lines, random), random.choice(lines))


def _swap(lines: list[bytes], random: Random) -> None:
    one, other = _index(lines, random), _index(lines, random)
    lines[one], lines[other] = lines[other], lines[one]


def _indent(lines: list[bytes], random: Random) -> None:
    index = _index(lines, random)
    lines[index] = random.choice((b" ", b"  ", b"    ", b"\t", b"- ", b"# ")) + lines[index]


def _outdent(lines: list[bytes], random: Random) -> None:
    index = _index(lines, random)
    lines[index] = lines[index].lstrip(b" \t")


def _conflict(lines: list[bytes], random: Random) -> None:
    index = _index(lines, random)
    lines[index] = _CONFLICT % (lines[index], lines[index].upper())


def _index(lines: Sequence[bytes], random: Random) -> int:
    return random.randrange(len(lines))


def _with_other_line_ends(content: bytes, random: Random) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\n", random.choice((b"\r\n", b"\r", b"\n\n", b"\n")))


def _twice(content: bytes, random: Random) -> bytes:
    return content + random.choice((b"", b"\n", b"---\n", b"\n---\n")) + content


def _without_the_last_newline(content: bytes, random: Random) -> bytes:
    return content.rstrip(b"\r\n")


def _with_a_mark(content: bytes, random: Random) -> bytes:
    return b"\xef\xbb\xbf" + content


_CHANGES: tuple[Change, ...] = (
    _cut, _without_a_piece, _without_a_piece, _with_a_flipped_bit, _with_a_flipped_bit, _with_a_sign,
    _with_a_sign, _with_another_sign, _with_another_sign, _with_a_value, _with_a_piece_twice,
    _by_lines(_drop), _by_lines(_repeat), _by_lines(_swap), _by_lines(_indent), _by_lines(_indent),
    _by_lines(_outdent), _by_lines(_conflict), _with_other_line_ends, _twice, _without_the_last_newline,
    _with_a_mark,
)  # fmt: skip
