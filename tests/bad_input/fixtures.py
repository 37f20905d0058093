"""Bad input, as a table: what people's files hold, and what must come of it.

A fixture is a document of records, of which each is written down with what it must become: an item, `BAD`, or `NOTHING`
(an empty line). Documents are made of an odd record at the beginning, in the middle and at the end of good ones, with
each kind of line end. Nothing here asks our own code what is good.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

BAD = object()
NOTHING = object()


@dataclass(frozen=True)
class Fixture:
    """Hold the bytes of a file, and what its lines (counted from 1) must become."""

    name: str
    suffix: str
    content: bytes
    items: tuple[Any, ...]
    bad_lines: tuple[int, ...]


NEST = 100_000
MANY_KEYS = b"{" + b",".join(b'"k%d":0' % n for n in range(10_000)) + b"}"

#: One line of JSON Lines each, without its end.
JSON: dict[str, tuple[bytes, Any]] = {
    "bad UTF-8": (b'{"a": "\xff"}', BAD),
    "cut UTF-8": (b'{"a": "\xe2\x82"}', BAD),
    "overlong UTF-8": (b'{"a": "\xc0\xaf"}', BAD),
    "surrogate in UTF-8": (b'{"a": "\xed\xa0\x80"}', BAD),
    "Latin-1": (b'{"a": "caf\xe9"}', BAD),
    "UTF-16": ('{"a": 1}'.encode("utf-16-le"), BAD),
    "NaN": (b'{"a": NaN}', BAD),
    "Infinity": (b'{"a": -Infinity}', BAD),
    "deep array": (b"[" * NEST + b"]" * NEST, BAD),
    "deep object": (b'{"a":' * NEST + b"1" + b"}" * NEST, BAD),
    "deep and not closed": (b"[" * NEST, BAD),
    "NUL": (b'{"a": "\x00"}', BAD),
    "NUL alone": (b"\x00", BAD),
    "NULs": (b"\x00" * 4096, BAD),
    "control character": (b'{"a": "\x1b[0m"}', BAD),
    "tab in text": (b'{"a": "\t"}', BAD),
    "no JSON": (b"hello", BAD),
    "log line": (b"2026-11-21 08:00:01 ERROR x", BAD),
    "HTML": (b"<html><body>502 Bad Gateway</body></html>", BAD),
    "single quotes": (b"{'a': 1}", BAD),
    "no quotes": (b"{a: 1}", BAD),
    "trailing comma": (b'{"a": 1,}', BAD),
    "comment": (b'{"a": 1} // one', BAD),
    "two values": (b'{"a": 1} {"a": 2}', BAD),
    "two values, no space": (b'{"a":1}{"a":2}', BAD),
    "cut object": (b'{"a": 1', BAD),
    "cut text": (b'{"a": "on', BAD),
    "cut escape": (b'{"a": "\\u00', BAD),
    "lone surrogate escape": (b'{"a": "\\ud800"}', BAD),
    "unknown escape": (b'{"a": "\\x41"}', BAD),
    "Python's None": (b'{"a": None}', BAD),
    "Python's True": (b"True", BAD),
    "hexadecimal": (b"0x10", BAD),
    "leading zero": (b"007", BAD),
    "plus sign": (b"+1", BAD),
    "point without digits": (b"1.", BAD),
    "exponent without digits": (b"1e", BAD),
    "number without end": (b"-", BAD),
    "BOM within": (b'\xef\xbb\xbf{"a": 1}', BAD),
    "brace": (b"}", BAD),
    "duplicate keys": (b'{"a": 1, "a": 2}', {"a": 2}),
    "huge integer": (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890.0}),
    "largest integer": (b'{"a": 18446744073709551615}', {"a": 18446744073709551615}),
    "least integer": (b'{"a": -9223372036854775808}', {"a": -9223372036854775808}),
    "long number": (b'{"a": 0.' + b"1" * 5000 + b"}", {"a": 1 / 9}),
    "tiny number": (b'{"a": 1e-400}', {"a": 0.0}),
    "minus zero": (b'{"a": -0.0}', {"a": -0.0}),
    "null": (b"null", None),
    "text": (b'"text"', "text"),
    "empty object": (b"{}", {}),
    "empty key": (b'{"": 1}', {"": 1}),
    "spaces around": (b'  {"a": 1}\t ', {"a": 1}),
    "emoji": ('{"a": "👩‍👩‍👧"}'.encode(), {"a": "👩‍👩‍👧"}),
    "escaped emoji": (b'{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
    "line separator": ('{"a": "\u2028\u0085"}'.encode(), {"a": "\u2028\u0085"}),
    "escaped NUL": (b'{"a": "\\u0000"}', {"a": "\0"}),
    "10,000 keys": (MANY_KEYS, dict.fromkeys((f"k{n}" for n in range(10_000)), 0)),
    "empty line": (b"", NOTHING),
    "spaces": (b"   ", NOTHING),
}

#: One record each of a CSV file with the columns a and b, without its end; some stand on several lines.
CSV: dict[str, tuple[bytes, Any]] = {
    "too few fields": (b"1", BAD),
    "too many fields": (b"1,2,3", BAD),
    "only delimiters": (b",", {"a": "", "b": ""}),
    "too many delimiters": (b",,,,", BAD),
    "another delimiter": (b"1;2", BAD),
    "bad UTF-8": (b"\xff,2", BAD),
    "cut UTF-8": (b"1,\xe2\x82", BAD),
    "quoted delimiter": (b'"1,5",2', {"a": "1,5", "b": "2"}),
    "quoted line end": (b'"x\ny",2', {"a": "x\ny", "b": "2"}),
    "quoted line ends": (b'"x\n\n\ny","\n"', {"a": "x\n\n\ny", "b": "\n"}),
    "quoted quote": (b'"say ""hi""",2', {"a": 'say "hi"', "b": "2"}),
    "empty quotes": (b'"",""', {"a": "", "b": ""}),
    "spaces kept": (b" 1 , 2 ", {"a": " 1 ", "b": " 2 "}),
    "backslash": (b"\\,\\n", {"a": "\\", "b": "\\n"}),
    "formula": (b"=1+1,@x", {"a": "=1+1", "b": "@x"}),
    "escape sequence": (b"\\xff,2", {"a": "\\xff", "b": "2"}),
    "NUL": (b"\x00,2", {"a": "\0", "b": "2"}),
    "long field": (b"x" * 100_000 + b",2", {"a": "x" * 100_000, "b": "2"}),
    "field beyond the parser": (b'"' + b"x" * 200_000 + b'",2', BAD),
    "emoji": ("👩‍👩‍👧,é".encode(), {"a": "👩‍👩‍👧", "b": "é"}),
    "header again": (b"a,b", {"a": "a", "b": "b"}),
    "NaN": (b"NaN,inf", {"a": "NaN", "b": "inf"}),
    "huge integer": (b"1" * 500 + b",2", {"a": "1" * 500, "b": "2"}),
    "empty line": (b"", NOTHING),
}

#: One line of text each.
TEXT: dict[str, tuple[bytes, Any]] = {
    "bad UTF-8": (b"\xff", BAD),
    "cut UTF-8": (b"x\xe2\x82", BAD),
    "overlong UTF-8": (b"\xc0\xaf", BAD),
    "surrogate in UTF-8": (b"\xed\xa0\x80", BAD),
    "NUL": (b"a\x00b", "a\0b"),
    "form feed": (b"a\x0cb", "a\x0cb"),
    "line separator": ("a\u2028b".encode(), "a\u2028b"),
    "escape sequence": (b"\x1b[31mred", "\x1b[31mred"),
    "spaces": (b"   ", "   "),
    "empty line": (b"", ""),
    "BOM within": (b"\xef\xbb\xbfx", "\ufeffx"),
    "too long": (b"x" * (1 << 20) + b"x", BAD),
    "as long as may be": (b"x" * ((1 << 20) - 1), "x" * ((1 << 20) - 1)),  # a CR is of the line
}

ENDS = {"LF": (b"\n", True), "CRLF": (b"\r\n", True), "no final newline": (b"\n", False), "mixed": (None, True)}
PLACES = ("first", "middle", "last")


def fixtures() -> Iterator[Fixture]:
    """Yield the whole table."""
    yield from _documents("jsonl", JSON, [(b'{"n": 1}', {"n": 1}), (b'{"n": 2}', {"n": 2}), (b"[3]", [3])])
    yield from _documents("csv", CSV, [(b"1,x", {"a": "1", "b": "x"}), (b"2,y", {"a": "2", "b": "y"})], head=b"a,b")
    yield from _documents("txt", TEXT, [(b"one", "one"), (b"two", "two")])
    yield from _whole_files()


def _documents(
    suffix: str, odd: dict[str, tuple[bytes, Any]], good: list[tuple[bytes, Any]], head: bytes | None = None
) -> Iterator[Fixture]:
    for number, (name, record) in enumerate(odd.items()):
        for at, place in enumerate(PLACES):
            # Every record in every place; line ends in turn, so that each meets each kind of record.
            if name == "BOM within" and place == "first":
                continue  # that is no odd record, but the mark of the file
            ends = list(ENDS)
            for end in (ends[(number + at) % 4], ends[(number + at + 2) % 4]):
                records = list(good)
                records.insert({"first": 0, "middle": 1, "last": len(good)}[place], record)
                yield _joined(f"{suffix}: {name}, {place}, {end}", suffix, records, end, head)


def _joined(name: str, suffix: str, records: list[tuple[bytes, Any]], end: str, head: bytes | None) -> Fixture:
    line_end, final = ENDS[end]
    content = b"" if head is None else head + (line_end or b"\r\n")
    line = 1 if head is None else 2
    items, bad_lines = [], []
    for index, (record, becomes) in enumerate(records):
        this_end = line_end or (b"\n", b"\r\n")[index % 2]
        last = index == len(records) - 1
        if last and not final and not record:
            this_end, becomes = b"", NOTHING  # nothing after the last line end is no line
        if becomes is BAD:
            bad_lines.append(line)
        elif becomes is not NOTHING:
            items.append(becomes)
        content += record + (b"" if last and not final else this_end)
        line += 1 + record.count(b"\n")
    return Fixture(name, suffix, content, tuple(items), tuple(bad_lines))


def _whole_files() -> Iterator[Fixture]:
    """Yield files that are odd as a whole."""
    bom = b"\xef\xbb\xbf"
    yield Fixture("jsonl: empty", "jsonl", b"", (), ())
    yield Fixture("jsonl: one line end", "jsonl", b"\n", (), ())
    yield Fixture("jsonl: line ends", "jsonl", b"\n\r\n\n", (), ())
    yield Fixture("jsonl: BOM", "jsonl", bom + b'{"a": 1}\n', ({"a": 1},), ())
    yield Fixture("jsonl: BOM alone", "jsonl", bom, (), ())
    yield Fixture("jsonl: one brace", "jsonl", b"{", (), (1,))
    yield Fixture("jsonl: UTF-16 with BOM", "jsonl", b"\xff\xfe" + '{"a": 1}'.encode("utf-16-le"), (), (1,))
    yield Fixture("jsonl: pretty", "jsonl", b'{\n "a": 1\n}\n', (), (1, 2, 3))
    yield Fixture("jsonl: an array of all", "jsonl", b'[{"a": 1},\n{"a": 2}]\n', (), (1, 2))
    yield Fixture("jsonl: CR for line ends", "jsonl", b'{"a": 1}\r{"a": 2}\r', (), (1,))
    yield Fixture("csv: empty", "csv", b"", (), ())
    yield Fixture("csv: header alone", "csv", b"a,b\n", (), ())
    yield Fixture("csv: header without line end", "csv", b"a,b", (), ())
    yield Fixture("csv: BOM", "csv", bom + b"a,b\n1,2\n", ({"a": "1", "b": "2"},), ())
    yield Fixture(
        "csv: quote never closed", "csv", b'a,b\n1,2\n"3,4\n5,6\n', ({"a": "1", "b": "2"}, {"a": "5", "b": "6"}), (3,)
    )
    yield Fixture("csv: quote never closed, at once", "csv", b'a,b\n"1,2\n3,4\n', ({"a": "3", "b": "4"},), (2,))
    yield Fixture("csv: CR for line ends", "csv", b"a,b\r1,2\r", ({"a": "1", "b": "2"},), ())
    yield Fixture("txt: empty", "txt", b"", (), ())
    yield Fixture("txt: BOM", "txt", bom + b"one\n", ("one",), ())
    yield Fixture("txt: line ends", "txt", b"\n\n", ("", ""), ())
    yield Fixture("txt: UTF-16", "txt", "é\n".encode("utf-16"), ("\0",), (1,))
