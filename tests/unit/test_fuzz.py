"""A small portion of `make fuzz`, from a fixed seed; and what its judges would not let pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

import pytest

from reconciler.faces.cli.terminal import say
from reconciler.model.errors import DEFECT, InvalidFile
from tests.fuzz import meaning, second_reader, shown
from tests.fuzz.figures import Figures, Harm, figures_of
from tests.fuzz.runs import runs

SIZE = 16
RUNS = runs()


@pytest.mark.parametrize("name", RUNS)
def test_hostile_input_does_no_harm(name: str) -> None:
    figures = figures_of(name, RUNS[name], "unit", SIZE)
    assert figures.defects == []
    assert figures.tried >= SIZE
    assert figures.refused, "nothing of it was hostile"
    assert figures.accepted, "nothing of it was good, so nobody saw what becomes of that"


@pytest.mark.parametrize("name", RUNS)
def test_the_same_seed_gives_the_same_inputs(name: str) -> None:
    class Recorded(Figures):
        def attempt(self, given: object, judge: Callable[[], Iterable[InvalidFile | str]]) -> None:
            self.tried += 1
            inputs.append(repr(given) if "sealed" not in name else "")  # sealing is random by nature

    inputs: list[str] = []
    for _ in range(2):
        RUNS[name](Recorded(name), Random("x"), 3)  # noqa: S311 - repeatable on purpose
    half = len(inputs) // 2
    assert inputs[:half] == inputs[half:]


def stumble() -> Iterable[InvalidFile]:
    raise ZeroDivisionError


@pytest.mark.parametrize(
    ("refusals", "says"),
    [
        (stumble, "ZeroDivisionError in stumble"),
        (lambda: [InvalidFile("x", "is wrong", line=1, column=1)], "without a remedy"),
        (lambda: [InvalidFile("x", "is wrong", line=1, remedy="mend it")], "impossible place"),
        (lambda: [InvalidFile("x", "unexpected TypeError", remedy=DEFECT)], "met a defect"),
        (lambda: [""], "without a word"),
    ],
)
def test_a_bad_refusal_is_a_defect(refusals: Callable[[], Iterable[InvalidFile | str]], says: str) -> None:
    figures = Figures("x")
    figures.attempt(b"given", refusals)
    assert (figures.tried, figures.accepted, figures.refused, figures.found) == (1, 0, 0, 1)
    assert says in figures.defects[0].what
    assert figures.defects[0].given == "b'given'"


@pytest.mark.parametrize(
    ("rendered", "says"),
    [
        ("name: {}\n", "without quotes"),
        ('name: "{} or so"\n', "says at"),
        ('name: "{}"\nmore: 1\n', "other lines"),
        ('{{name: "{}", more: 1}}\n', "other keys"),
        ('name: !x "{}"\n', "has at"),
        ("name: '{}\n", "no YAML"),
    ],
)
def test_what_does_not_stay_text_is_harm(rendered: str, says: str) -> None:
    harmless = {"a.yaml": b'name: "benign"\n'}
    meaning.check_same(harmless, {"a.yaml": b'name: "it is #1"\n'}, "benign", "it is #1")
    with pytest.raises(Harm, match=says):
        meaning.check_same(harmless, {"a.yaml": rendered.format("it is #1").encode()}, "benign", "it is #1")


def test_another_file_is_harm() -> None:
    with pytest.raises(Harm, match="other files"):
        meaning.check_same({"a.yaml": b"x: 1\n"}, {"a.yaml": b"x: 1\n", "b.yaml": b""}, "benign", "text")


def test_a_sign_that_a_terminal_obeys_is_harm() -> None:
    shown.off_terminals(lambda: say("\x1b[2J"))
    for print_it in (shown.off_terminals, shown.on_terminals):
        with pytest.raises(Harm, match="x1b"):
            print_it(lambda: print("\x1b]0;x\x07"))  # noqa: T201 - past the door that everything goes through


def test_a_second_reader_tells_what_was_read() -> None:
    (tree,) = second_reader.tree(b"a: [1, 'x', !!int \"7\"]\nb: {c: null}\n")
    assert second_reader.same(tree, {"a": [1, "x", 7], "b": {"c": None}})
    for other in ({"a": [1, "x", 7]}, {"a": [1, "y", 7], "b": {"c": None}}, {"a": [1, "x", 7], "b": None}):
        assert not second_reader.same(tree, other)
