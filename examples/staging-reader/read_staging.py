#!/usr/bin/env python3
"""Reads a Tidemark staging log and prints every change as a line of JSON, as `tidemark changes --json --from beginning` does.

Written from docs/staging-layout.md alone, to show that it can be. It needs `pyarrow` and `blake3`, reads a log in a local folder that
is not encrypted, whose segments are in Parquet or Arrow, and columns of the plain kinds (numbers, text, bool). It verifies everything
it reads and stops at the first thing that is not as it should be.

    pip install pyarrow blake3
    python3 read_staging.py ./staging/PIPELINE
"""

import datetime
import json
import os
import re
import struct
import sys

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
from blake3 import blake3


class Damaged(Exception):
    pass


def check(holds, what):
    if not holds:
        raise Damaged(what)


class Log:
    def __init__(self, root):
        self.root = root
        identity = self.document("pipeline.json")
        check(identity["format"] == 1, "pipeline.json: a later format")
        self.id = identity["log"]
        self.schemas = {}
        self.segments = {}
        self.layout = self.newest_layout()

    # Objects

    def get(self, name):
        """The bytes of an object; None when there is none."""
        try:
            with open(os.path.join(self.root, name), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def names(self, folder):
        """The names in a folder, without files that are being written."""
        try:
            listing = os.listdir(os.path.join(self.root, folder))
        except FileNotFoundError:
            return []
        return [name for name in listing if not re.search(r"#\d+$", name)]

    def document(self, name):
        """A small object: JSON that ends with a hash of its name and of itself."""
        text = self.get(name)
        check(text is not None, f"{name}: missing")
        match = re.fullmatch(rb'(.*),"blake3":"([0-9a-f]{64})"\}', text, re.S)
        check(match, f"{name}: not a document")
        plain = match[1] + b"}"
        hashed = blake3(name.encode() + b"\n" + plain).hexdigest()
        check(hashed == match[2].decode(), f"{name}: its hash does not match")
        return json.loads(plain)

    def sealed(self, name, magic, content):
        """A sealed object: its header, its sections, its hash."""
        check(len(content) >= 44, f"{name}: too short")
        body, hashed = content[:-32], content[-32:]
        check(blake3(body).digest() == hashed, f"{name}: its hash does not match")
        check(body[:8] == magic, f"{name}: another kind of object")
        (length,) = struct.unpack_from("<I", body, 8)
        check(12 + length <= len(body), f"{name}: its header is cut off")
        return json.loads(body[12 : 12 + length]), body[12 + length :], hashed

    # Layout and volumes

    def newest_layout(self):
        numbers = [int(name) for name in self.names("layout") if name.isdigit()]
        if not numbers:
            return {"number": 0, "volumes": []}
        name = f"layout/{max(numbers):012}"
        content = self.get(name)
        check(content is not None, f"{name}: missing")
        layout, _, _ = self.sealed(name, b"TIDELAYO", content)
        check(layout["format"] == 1, f"{name}: a later format")
        check((layout["log"], layout["number"]) == (self.id, max(numbers)), f"{name}: another layout")
        return layout

    def volume(self, card):
        """The commits of a volume: (header, hash, sections)."""
        name = card["name"]
        content = self.get(name)
        check(content is not None, f"{name}: missing")
        contents, sections, hashed = self.sealed(name, b"TIDEVOLU", content)
        check(hashed.hex() == card["digest"], f"{name}: another volume")
        check(contents["log"] == self.id, f"{name}: another log's")
        for page in contents["pages"]:
            stored = sections[page["offset"] : page["offset"] + page["length"]]
            plain = pa.Codec("zstd").decompress(stored, page["plain"]).to_pybytes()
            at = 0
            while at < len(plain):
                parts = []
                for _ in range(2):
                    (length,) = struct.unpack_from("<I", plain, at)
                    parts.append(plain[at + 4 : at + 4 + length])
                    at += 4 + length
                skeleton = json.loads(parts[0])
                header = skeleton["header"]
                header["segments"] = [
                    {**contents["segments"][piece["segment"]], **{key: piece[key] for key in ("skip", "rows", "first_ordinal")}}
                    for piece in skeleton.get("pieces", [])
                ]
                yield header, plain[at : at + 32], parts[1]
                at += 32

    # Commits

    def commits(self):
        """Every commit that is kept, in order, verified to follow upon the one before."""
        base = self.layout.get("base")
        # What stands for all that is not kept any more has nothing before it.
        previous = None if base else bytes(32)
        volumes = ([base] if base else []) + self.layout["volumes"]
        expected = volumes[0]["first"] if volumes else 1
        for card in volumes:
            for header, hashed, sections in self.volume(card):
                self.check_commit(header, expected, previous)
                yield header, sections
                previous, expected = hashed, header["sequence"] + 1
        while True:
            name = f"log/{expected // 10_000:08}/{expected:012}"
            content = self.get(name)
            if content is None:
                return
            header, sections, hashed = self.sealed(name, b"TIDEMARK", content)
            self.check_commit(header, expected, previous)
            yield header, sections
            previous, expected = hashed, expected + 1

    def check_commit(self, header, expected, previous):
        sequence = header["sequence"]
        check(header["log"] == self.id, f"commit {sequence}: another log's")
        check(sequence == expected, f"commit {sequence}: out of order")
        check(previous is None or header["previous"] == previous.hex(), f"commit {sequence}: does not follow upon the one before")

    # Changes

    def schema(self, stream, digest):
        if digest not in self.schemas:
            name = f"schemas/{part(stream)}/{digest}.json"
            text = self.get(name)
            check(text is not None, f"{name}: missing")
            check(blake3(text).hexdigest() == digest, f"{name}: does not match its name")
            self.schemas[digest] = json.loads(text)
        return self.schemas[digest]

    def changes(self, header, sections):
        """The changes of a commit: (schema, row, ordinal)."""
        for frame in header.get("frames", []):
            stored = sections[frame["offset"] : frame["offset"] + frame["length"]]
            if frame["compression"] == "zstd":
                stored = pa.CompressedInputStream(pa.BufferReader(stored), "zstd").read()
            table = pa.ipc.open_stream(stored).read_all()
            check(table.num_rows == frame["rows"], "a frame has lost changes")
            schema = self.schema(frame["stream"], frame["schema"])
            for row in table.to_pylist():
                yield schema, row, row["_tidemark_ordinal"]
        for segment in header.get("segments", []):
            schema = self.schema(segment["stream"], segment["schema"])
            skip = segment.get("skip", 0)
            for row in self.segment(segment).slice(skip, segment["rows"]).to_pylist():
                yield schema, row, segment["first_ordinal"] + row["_tidemark_ordinal"]

    def segment(self, segment):
        name = segment["name"]
        if name not in self.segments:
            content = self.get(name)
            check(content is not None, f"{name}: missing")
            whole = len(content) == segment["bytes"] and blake3(content).hexdigest() == segment["digest"]
            check(whole, f"{name}: its content is not what was written")
            check(segment["format"] in ("parquet", "arrow"), f"{name}: this example reads Parquet and Arrow")
            if segment["format"] == "parquet":
                table = pa.parquet.read_table(pa.BufferReader(content))
            else:
                table = pa.ipc.open_stream(content).read_all()
            check(table.num_rows == (segment.get("of") or segment["rows"]), f"{name}: has lost changes")
            # One at a time: commits that share a segment follow upon one another.
            self.segments = {name: table}
        return self.segments[name]


def part(name):
    """One part of a path, as the store spells it."""
    encoded = spelled_part(name)
    if len(encoded) <= 200:
        return encoded
    head, size = "", 0
    for char in name:
        size += len(char.encode())
        if size * 3 > 150:
            break
        head += char
    return spelled_part(f"{head}~{blake3(name.encode()).hexdigest()[:16]}")


def spelled_part(name):
    if name in (".", ".."):
        return name.replace(".", "%2E")
    kept = lambda byte: 0x20 <= byte < 0x7F and chr(byte) not in '/%\\{}^`[]"<>~#|*?'
    return "".join(chr(byte) if kept(byte) else f"%{byte:02X}" for byte in name.encode())


def carried(schema, row, values, bitmap, offset):
    """The values of a change, or of the record before it, as JSON has them; columns that it does not carry are left out."""
    exceptions = {entry["column"] - offset: entry["text"] for entry in row.get("_tidemark_exceptions") or []}
    carries = lambda index: not (bitmap and bitmap[index // 8] >> index % 8 & 1)
    return {
        field["name"]: exceptions.get(index, values.get(field["name"]))
        for index, field in enumerate(schema["fields"])
        if carries(index)
    }


def line(log, header, schema, row, ordinal):
    time, position = row.get("_tidemark_source_time"), row.get("_tidemark_source_position")
    change = {
        "position": f"{log.id}-{header['sequence']:012}-{ordinal:09}",
        "op": chr(row["_tidemark_op"]),
        "stream": schema["stream"],
        "recorded": header["time"],
        "source_time": spelled(time) if time else None,
        "source_position": position.hex() if position is not None else None,
        "transaction": row.get("_tidemark_transaction"),
        "values": carried(schema, row, row, row.get("_tidemark_unchanged"), 0),
    }
    before = row.get("_tidemark_before")
    if before is not None:
        unknown = row.get("_tidemark_before_unknown")
        change["before"] = carried(schema, row, before, unknown, len(schema["fields"]))
    return json.dumps(change)


def spelled(time):
    time = time.astimezone(datetime.timezone.utc)
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def main():
    log = Log(sys.argv[1])
    for header, sections in log.commits():
        for schema, row, ordinal in log.changes(header, sections):
            print(line(log, header, schema, row, ordinal))


if __name__ == "__main__":
    try:
        main()
    except Damaged as damage:
        sys.exit(f"damaged: {damage}")
