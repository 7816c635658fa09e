r"""Regular expressions of value sets, matched in linear time whatever they say (R4 valueset-filter-operator.html).

A pattern matches a whole text, as R4's own do. It knows literals, `.`, classes, `\d \w \s` and their opposites, groups,
`|` and `* + ? {m,n}`; look-around and back-references need more than linear time and are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fhir_server.terminology.refusal import Unanswerable, shown, too_costly, unsupported

MOST_STATES = 500
DEEPEST_GROUP = 30
MOST_STEPS = 5_000_000
"""States looked at for all texts of one filter together."""

Test = Callable[[str], bool]
Emit = Callable[[int], int]
"""Adds the states of a part that go on to the one given, and says where the part starts."""

_CLASSES: dict[str, Test] = {
    "d": lambda c: "0" <= c <= "9",
    "w": lambda c: c.isalnum() or c == "_",
    "s": lambda c: c in " \t\n\r\f\v",
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_END = 0


class Pattern:
    """States are walked side by side; which ones follow which is worked out once per character."""

    def __init__(self, text: str) -> None:
        """Raises Unanswerable: not a regular expression, or one that is not supported."""
        program = _Program(text)
        self._text = text
        self._tests = program.tests
        self._next = program.following
        self._steps = 0
        self._known: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._start = self._reached((program.start,))

    def matches(self, text: str) -> bool:
        states = self._start
        for character in text:
            following = self._known.get((states, character))
            if following is None:
                following = self._step(states, character)
            if not following:
                return False
            states = following
        return _END in states

    def _step(self, states: frozenset[int], character: str) -> frozenset[int]:
        passed = [self._next[n][0] for n in states if (test := self._tests[n]) is not None and test(character)]
        self._steps += len(states)
        following = self._reached(passed)
        if len(self._known) >= MOST_STATES * 10:
            self._known.clear()
        self._known[states, character] = following
        return following

    def _reached(self, starts: tuple[int, ...] | list[int]) -> frozenset[int]:
        """The states at which a character, or the end, is awaited."""
        found = set(starts)
        waiting = list(found)
        while waiting:
            n = waiting.pop()
            if self._tests[n] is None:
                for following in self._next[n]:
                    if following not in found:
                        found.add(following)
                        waiting.append(following)
        self._steps += len(found)
        if self._steps > MOST_STEPS:
            raise too_costly(f"The regular expression {shown(self._text)!r} takes too long on this code system.")
        return frozenset(n for n in found if self._tests[n] is not None or n == _END)


@dataclass(slots=True)
class _Program:
    """The states of a pattern: each has a test of a character, or none and goes on to several."""

    text: str
    at: int = 0
    depth: int = 0
    start: int = 0
    tests: list[Test | None] = field(default_factory=lambda: [None])
    following: list[tuple[int, ...]] = field(default_factory=lambda: [()])

    def __post_init__(self) -> None:
        self.text = _without_anchors(self.text)
        whole = self._alternatives()
        if self.at < len(self.text):
            raise self._wrong("an unmatched )")
        self.start = whole(_END)

    def _state(self, test: Test | None, *following: int) -> int:
        if len(self.tests) >= MOST_STATES:
            raise too_costly(f"The regular expression {shown(self.text)!r} is too large.")
        self.tests.append(test)
        self.following.append(following)
        return len(self.tests) - 1

    def _alternatives(self) -> Emit:
        parts = [self._sequence()]
        while self._take("|"):
            parts.append(self._sequence())
        if len(parts) == 1:
            return parts[0]
        return lambda after: self._state(None, *[part(after) for part in parts])

    def _sequence(self) -> Emit:
        parts: list[Emit] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            parts.append(self._repeated(self._atom()))

        def emit(after: int) -> int:
            for part in reversed(parts):
                after = part(after)
            return after

        return emit

    def _repeated(self, atom: Emit) -> Emit:
        while self.at < len(self.text) and self.text[self.at] in "*+?{":
            least, most = self._bounds()
            self._take("?")  # lazy or not, the whole text has to match
            atom = self._times(atom, least, most)
        return atom

    def _bounds(self) -> tuple[int, int | None]:
        sign = self._character()
        if sign != "{":
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at : end].partition(",")
        if end < 0 or not _is_count(low) or not (high == "" or _is_count(high)):
            raise self._wrong("a { that is no repetition")
        self.at = end + 1
        least = int(low)
        most = (int(high) if high else None) if comma else least
        if most is not None and most < least:
            raise self._wrong("a repetition whose bounds are the wrong way round")
        return least, most

    def _times(self, atom: Emit, least: int, most: int | None) -> Emit:
        def emit(after: int) -> int:
            if most is None:
                again = self._state(None)
                self.following[again] = (atom(again), after)
                after = again
            else:
                end = after
                for _ in range(most - least):
                    after = self._state(None, atom(after), end)
            for _ in range(least):
                after = atom(after)
            return after

        return emit

    def _atom(self) -> Emit:
        character = self._character()
        if character == "(":
            return self._group()
        if character in "*+?{":
            raise self._wrong(f"a {character} with nothing to repeat")
        if character in "^$":
            raise unsupported(f"The regular expression {shown(self.text)!r} has an anchor inside.")
        test = self._single(character)
        return lambda after: self._state(test, after)

    def _group(self) -> Emit:
        if self._take("?") and not self._take(":"):
            raise unsupported(
                f"The regular expression {shown(self.text)!r} has a group of the kind (?, other than (?:."
            )
        self.depth += 1
        if self.depth > DEEPEST_GROUP:
            raise too_costly(f"The regular expression {shown(self.text)!r} is nested too deeply.")
        inner = self._alternatives()
        self.depth -= 1
        if not self._take(")"):
            raise self._wrong("an unmatched (")
        return inner

    def _single(self, character: str) -> Test:
        """What one character of a text has to be."""
        if character == ".":
            return lambda c: c not in "\n\r"
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escaped()
        return lambda c: c == character

    def _escaped(self) -> Test:
        character = self._character()
        if (named := _CLASSES.get(character.lower())) is not None:
            return named if character.islower() else lambda c: not named(c)
        if character.isalnum() and character not in _CONTROLS:
            raise unsupported(f"The regular expression {shown(self.text)!r} has the escape \\{character}.")
        literal = _CONTROLS.get(character, character)
        return lambda c: c == literal

    def _class(self) -> Test:
        negated = self._take("^")
        tests = [self._member(self._character())]  # a ] that comes first stands for itself
        while not self._take("]"):
            tests.append(self._member(self._character()))
        return lambda c: any(test(c) for test in tests) is not negated

    def _member(self, first: str) -> Test:
        if first == "\\":
            if self.text[self.at : self.at + 1].lower() in _CLASSES:
                return self._escaped()
            first = self._literal()
        if self.text[self.at : self.at + 1] != "-" or self.text[self.at + 1 : self.at + 2] in ("]", ""):
            return lambda c: c == first
        self.at += 1
        last = self._character()
        if last == "\\":
            last = self._literal()
        if last < first:
            raise self._wrong(f"the range {first}-{last}")
        return lambda c: first <= c <= last

    def _literal(self) -> str:
        character = self._character()
        return _CONTROLS.get(character, character)

    def _character(self) -> str:
        if self.at >= len(self.text):
            raise self._wrong("an end where something is missing")
        self.at += 1
        return self.text[self.at - 1]

    def _take(self, wanted: str) -> bool:
        if self.text[self.at : self.at + 1] != wanted:
            return False
        self.at += 1
        return True

    def _wrong(self, what: str) -> Unanswerable:
        return Unanswerable(f"The regular expression {shown(self.text)!r} has {what}.", code="invalid")


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _without_anchors(text: str) -> str:
    """A ^ at the start and a $ at the end say what holds anyway."""
    text = text.removeprefix("^")
    if text.endswith("$"):
        escapes = len(text) - 1 - len(text[:-1].rstrip("\\"))
        if escapes % 2 == 0:
            return text[:-1]
    return text
