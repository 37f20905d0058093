"""What files hold that nobody expects: by format, each with good records around it where there can be any."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable

import zstandard

BOM = b"\xef\xbb\xbf"
LONG = (1 << 20) + 1


def _json(*lines: bytes) -> bytes:
    return b'{"n": 1}\n' + b"".join(lines) + b'{"n": 2}\n'


JSON: dict[str, bytes] = {
    "nothing at all": b"",
    "one line end": b"\n",
    "white space only": b" \n\t\r\n \x0b\x0c \n",
    "white space between": _json(b"\n", b"  \n", b"\r\n"),
    "no final newline": _json(b"3\n")[:-1],
    "a last line that is cut": _json() + b'{"n": 3',
    "CRLF": _json(b'"a"\r\n', b"[\r]\r\n"),
    "mixed newlines": b'1\r\n2\n3\r\n\r\n4\n{"a":1}\r',
    "CR only": b"1\r2\r3\r",
    "a BOM": BOM + _json(),
    "a BOM, then something bad": BOM + b"nonsense\n" + _json(),
    "a BOM and nothing else": BOM,
    "half a BOM": BOM[:2] + b"1\n2\n",
    "a BOM twice": BOM + BOM + b"1\n2\n",
    "a BOM in the middle": _json(BOM + b"3\n"),
    "UTF-16": "1\n2\n".encode("utf-16"),
    "NUL alone": _json(b"\0\n"),
    "NUL behind a value": _json(b"3\0\n"),
    "NUL within a text": _json(b'"a\0b"\n'),
    "NUL escaped": _json(b'"a\\u0000b"\n'),
    "zeros as a crash leaves them": _json() + b"\0" * 4096,
    "bad UTF-8": _json(b'"\xff"\n', b'"good"\n', b'{"\x80": 1}\n'),
    "a character that is cut": _json('"é'.encode()[:-1] + b'"\n'),
    "an overlong form": _json(b'"\xc0\xaf"\n'),
    "a surrogate as UTF-8": _json(b'"\xed\xa0\x80"\n'),
    "half a surrogate pair": _json(b'"\\ud800"\n', b'"\\udc00\\ud800"\n'),
    "a whole surrogate pair": _json(b'"\\ud83d\\ude00"\n'),
    "beyond Unicode": _json(b'"\xf4\x90\x80\x80"\n'),
    "NaN": _json(b"NaN\n", b'{"a": NaN}\n'),
    "Infinity": _json(b"Infinity\n", b"[-Infinity]\n"),
    "a float too large": _json(b"1e999\n", b"-1e400\n"),
    "a float too small": _json(b"1e-999\n"),
    "integers of 64 bits": _json(b"18446744073709551615\n", b"-9223372036854775808\n"),
    "integers of more": _json(b"18446744073709551616\n", b"-9223372036854775809\n", b"1" * 30 + b"\n"),
    "an integer of 5,000 digits": _json(b"7" * 5000 + b"\n"),
    "keys twice": _json(b'{"a": 1, "a": 2}\n', b'{"": 1, "": {"": 2, "": 3}}\n'),
    "100,000 deep": _json(b"[" * 100_000 + b"]" * 100_000 + b"\n"),
    "100,000 deep, objects": _json(b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n"),
    "100,000 deep, never closed": _json(b"[" * 100_000 + b"\n"),
    "as deep as can be written": _json(b"[" * 254 + b"]" * 254 + b"\n"),
    "two values on a line": _json(b"3 4\n"),
    "a value and more": _json(b'{"a": 1}x\n', b'{"a": 1},\n'),
    "single quotes": _json(b"{'a': 1}\n"),
    "comments": _json(b"// one\n", b"/* two */ 2\n"),
    "a list over several lines": b"[\n1,\n2\n]\n",
    "numbers of other languages": _json(b"01\n", b"+1\n", b".5\n", b"1.\n", b"0x10\n", b"1_000\n", b"--1\n"),
    "words of other languages": _json(b"None\n", b"True\n", b"undefined\n", b"nul\n"),
    "control characters": _json(b'"a\tb"\n', b'"a\\tb"\n', b'"\\x41"\n', b"\x1b[0m\n"),
    "a line that is too long": _json(b'"' + b"x" * LONG + b'"\n'),
    "as long as can be": _json(b'"' + b"x" * (LONG - 3) + b'"\n'),
    "two that are too long": _json(b"x" * LONG + b"\n", b"y" * 3 * LONG + b"\n", b"3\n"),
    "too long, and no newline": _json() + b"x" * 2 * LONG,
    "too long, and first": BOM + b"x" * LONG + b"\n" + _json(),
    "a binary file": bytes(range(256)) * 16,
}

TEXT: dict[str, bytes] = {
    "nothing at all": b"",
    "empty lines": b"\n\n\r\n",
    "no final newline": b"a\nb",
    "CRLF": b"a\r\nb\r\n",
    "mixed newlines": b"a\r\nb\nc\rd\n\re\r\r\n",
    "other line ends": "a\u2028b\x0bc\x85d\n".encode(),
    "a BOM": BOM + b"a\nb\n",
    "a BOM in the middle": b"a\n" + BOM + b"b\n",
    "a BOM and a bad line": BOM + b"\xff\nb\n",
    "NUL": b"a\0b\n\0\n",
    "bad UTF-8": b"a\nx\xffy\nb\n\xe9t\xe9\nc\n",
    "bad UTF-8 at the end": b"a\nb\xc3",
    "Latin-1": "é\nà\nplain\n".encode("latin-1"),
    "UTF-16": "ab\ncd\n".encode("utf-16"),
    "a line that is too long": b"a\n" + b"x" * LONG + b"\nb\n",
    "as long as can be": b"a\n" + b"x" * (LONG - 1) + b"\nb\n",
    "too long, no newline, bad UTF-8": b"a\n" + b"\xff" * LONG,
    "a binary file": bytes(range(256)) * 16,
}


def _csv(*lines: bytes) -> bytes:
    return b"a,b\n1,2\n" + b"".join(lines) + b"8,9\n"


CSV: dict[str, bytes] = {
    "nothing at all": b"",
    "a header and nothing else": b"a,b\n",
    "a header without newline": b"a,b",
    "empty lines": b"\n\r\na,b\n\n1,2\n\n\n",
    "no final newline": _csv()[:-1],
    "CRLF": b"a,b\r\n1,2\r\n",
    "CRLF, ragged": b"a,b\r\n1,2\r\n3\r\n4,5\r\n",
    "mixed newlines": b'a,b\r\n1,2\n3,4\r\n"5\n6",7\r\n8\n9,10\n',
    "CR only": b"a,b\r1,2\r3\r4,5\r",
    "a CR in between": _csv(b"3,4\r5\r6,7\n", b"1\n"),
    "a BOM": BOM + _csv(),
    "a BOM before a quote": BOM + b'"a",b\n1,2\n3\n',
    "a BOM in the middle": _csv(BOM + b"3,4\n"),
    "NUL": _csv(b"3\0,4\n", b'"\0",\0\n', b"\0\n"),
    "UTF-16": "a,b\n1,2\n".encode("utf-16"),
    "bad UTF-8": _csv(b"3,\xff\n", b"4,5\n", b"\xe9,6\n"),
    "bad UTF-8 within quotes": _csv(b'3,"x\n\xff\ny"\n', b"4,5\n"),
    "bad UTF-8 beside an escape": _csv(b"3,\\xff\n", b"4,\xff\n", b"\\udcff,\\x\n"),
    "bad UTF-8 and ragged": _csv(b"\xff\n", b"1,2,\xff\n"),
    "bad UTF-8 in the header": b"a,\xff\n1,2\n",
    "too few fields": _csv(b"3\n", b"4,5\n"),
    "too many fields": _csv(b"3,4,5\n", b"6,7,\n"),
    "empty fields": _csv(b",\n", b'"",""\n'),
    "a header with a name twice": b"a,a\n1,2\n",
    "a header with no names": b",,\n1,2,3\n",
    "a header of one": b"a\n1\n\n2\n",
    "an unclosed quote": _csv(b'3,"x\n', b"4,5\n", b"6\n"),
    "an unclosed quote at the end": _csv() + b'3,"x',
    "an unclosed quote in the header": b'a,"b\n1,2\n3,4\n',
    "an unclosed quote, then a quoted field": _csv(b'3,"x\n', b'4,"5"\n', b"6,7\n"),
    "a quote in the middle": _csv(b'3,x"y\n', b"4,5\n"),
    "two quotes in the middle": _csv(b'3,x"y"z\n', b"4,5\n"),
    "something behind a quoted field": _csv(b'"3"x,"4" \n'),
    "quotes doubled": _csv(b'"3""",""""\n', b'"",""""""\n'),
    "backslashes before quotes": _csv(b'"3\\",4\n', b"5,6\n"),
    "quoted newlines": _csv(b'"3\n4","5\r\n6"\n', b'"\n\n\n",\n', b"7\n"),
    "a quoted CR": _csv(b'"3\r4",5\n', b"6\n"),
    "a field that is too wide": _csv(b"x" * 131_073 + b",4\n", b"5,6\n"),
    "as wide as can be": _csv(b"x" * 131_072 + b",4\n", b"5,6\n"),
    "a line that is too long": _csv(b"x" * LONG + b",4\n", b"5,6\n"),
    "a line that is too long, quoted": _csv(b'"' + b"x" * LONG + b'",4\n', b"5,6\n"),
    "a line that is too long within quotes": _csv(b'3,"x\n' + b"y" * LONG + b'\nz"\n', b"5,6\n"),
    "a header that is too long": b"x" * LONG + b",b\n1,2\n3,4\n",
    "a quote closed after 2 MiB": _csv(b'3,"x\n', b"4,5%s\n" % (b"5" * 1000) * 2100, b'y"\n'),
    "another format": b'{"a": 1, "b": 2}\n{"a": 3}\n',
    "a binary file": bytes(range(256)) * 16,
}

#: Tabs between the fields, where that may make a difference.
TSV: dict[str, bytes] = {
    name: CSV[name].replace(b",", b"\t")
    for name in ("CRLF, ragged", "too many fields", "an unclosed quote", "bad UTF-8", "a quote in the middle")
} | {"commas": b"a,a\tb\n1,2\t3\n4,5,6\n"}

INPUTS = [
    (suffix, name, content)
    for suffix, kinds in ((".jsonl", JSON), (".txt", TEXT), (".csv", CSV), (".tsv", TSV))
    for name, content in kinds.items()
]

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "xz": lzma.compress,
    "zstd": lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data),
}
SUFFIX = {"gzip": ".gz", "xz": ".xz", "zstd": ".zst"}


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


#: What becomes of compressed data between who wrote and who reads them, by the data and the function that made them.
DAMAGE: dict[str, Callable[[bytes, Callable[[bytes], bytes]], bytes]] = {
    "whole": lambda data, compress: data,
    "nothing left": lambda data, compress: b"",
    "cut within the header": lambda data, compress: data[:3],
    "cut at a quarter": lambda data, compress: data[: len(data) // 4],
    "cut in the middle": lambda data, compress: data[: len(data) // 2],
    "cut before the last byte": lambda data, compress: data[:-1],
    "cut within the second member": lambda data, compress: data + data[: len(data) // 2],
    "two members": lambda data, compress: data + data,
    "empty members between": lambda data, compress: compress(b"") + data + compress(b"") + data,
    "text behind it": lambda data, compress: data + b"and more",
    "a newline behind it": lambda data, compress: data + b"\n",
    "zeros behind it": lambda data, compress: data + b"\0" * 512,
    "zeros, then a member": lambda data, compress: data + b"\0" * 512 + data,
    "zeros, then text": lambda data, compress: data + b"\0" * 512 + b"and more",
    "a byte wrong in the header": lambda data, compress: _flipped(data, 1),
    "not compressed at all": lambda data, compress: b"a,b\n1,2\n3,4\n",
    "compressed twice": lambda data, compress: compress(data),
}
