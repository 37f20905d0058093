"""Every sink under the suite that third parties run over theirs."""

import csv
import json

import pytest

from streamflow.sinks import Bytes, CallableSink, Csv, JsonLines, ListSink, TextLines
from streamflow.testing.conformance.sinks import SinkSuite


class TestJsonLines(SinkSuite):
    @pytest.fixture(autouse=True)
    def directory(self, tmp_path):
        self.directories = [tmp_path]
        self.made = 0

    def target(self):
        self.made += 1
        self.path = self.directories[0] / f"{self.made}.jsonl"
        return self.path

    def make_sink(self):
        return JsonLines(self.target())

    def written(self):
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


class TestTextLines(TestJsonLines):
    items = tuple(f"line {number}" for number in range(20))

    def make_sink(self):
        return TextLines(self.target())

    def written(self):
        return self.path.read_text().splitlines() if self.path.exists() else []


class TestCsv(TestJsonLines):
    items = tuple({"n": str(number), "text": f"a\n{number}"} for number in range(20))

    def make_sink(self):
        return Csv(self.target(), columns=["n", "text"])

    def written(self):
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))


class TestBytes(TestJsonLines):
    items = tuple(bytes([number]) * 3 for number in range(20))

    def make_sink(self):
        return Bytes(self.target())

    def written(self):
        data = self.path.read_bytes() if self.path.exists() else b""
        return [data[start : start + 3] for start in range(0, len(data), 3)]


class TestList(SinkSuite):
    atomic = False

    def make_sink(self):
        self.target = []
        return ListSink(self.target)

    def written(self):
        return self.target


class TestFunction(TestList):
    def make_sink(self):
        self.target = []

        def take(item):
            if item == "bad":
                raise ValueError(item)
            self.target.append(item)

        return CallableSink(take)

    def make_bad_item(self):
        return "bad"


class TestAsyncFunction(TestList):
    def make_sink(self):
        self.target = []

        async def take(item):
            if item == "bad":
                raise ValueError(item)
            self.target.append(item)

        return CallableSink(take)

    def make_bad_item(self):
        return "bad"
