"""What a table holds, by the segments of a staging log alone: `state.py FORMAT COLUMN... -- SEGMENT...`.

A column is given as `name:kind`. Every row is printed as JSON, in the order of the key, which is the first column. Nothing of
Tidemark's is used here: PyArrow, zstd and jq, and Python's own XML parser.
"""

import json
import os
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from base64 import b64decode
from datetime import date, timedelta
from uuid import UUID


def main():
    format, *rest = sys.argv[1:]
    split = rest.index("--")
    kinds = dict(column.rsplit(":", 1) for column in rest[:split])
    key = next(iter(kinds))
    rows = {}
    for segment in sorted(rest[split + 1 :], key=os.path.basename):
        for change in sorted(READERS[format](segment, kinds), key=lambda change: change["ordinal"]):
            values = change["values"]
            if change["op"] == "d":
                del rows[values[key]]
            else:
                rows.setdefault(values[key], {}).update(values)
    for _, row in sorted(rows.items()):
        print(json.dumps([row[name] for name in kinds]))


def of_arrow(read):
    """Changes of Arrow tables: the bitmap says what an update leaves as it is."""
    import pyarrow

    plain = {"date": pyarrow.int32(), "moment": pyarrow.int64()}
    convert = {
        "int": int,
        "text": str,
        "decimal": lambda value: format(value, "f"),
        "float": bits,
        "date": lambda days: iso(days * 86_400_000_000)[:-9],
        "moment": lambda micros: iso(micros) + "Z",
        "bytes": bytes.hex,
        "uuid": lambda value: str(UUID(bytes=value)),
        "list": list,
    }

    def changes(segment, kinds):
        table = read(segment)
        for name, kind in kinds.items():
            if kind in plain:
                index = table.schema.get_field_index(name)
                table = table.set_column(index, name, table[name].cast(plain[kind]))
        fields = [name for name in table.schema.names if not name.startswith("_tidemark_")]
        for row in table.to_pylist():
            unchanged = row.get("_tidemark_unchanged") or b""
            exceptions = {fields[pair["column"]]: pair["text"] for pair in row.get("_tidemark_exceptions") or []}
            values = {}
            for index, name in enumerate(fields):
                if name in exceptions:
                    values[name] = exceptions[name]
                elif row[name] is not None:
                    values[name] = convert[kinds[name]](row[name])
                elif not (index // 8 < len(unchanged) and unchanged[index // 8] >> index % 8 & 1):
                    values[name] = None
            yield {"op": chr(row["_tidemark_op"]), "ordinal": row["_tidemark_ordinal"], "values": values}

    return changes


def iso(micros):
    """Python's calendar has a beginning; the true one is the same every 400 years, which are 146,097 days."""
    days, rest = divmod(micros, 86_400_000_000)
    era, of_era = divmod(days, 146_097)
    day = date(1970, 1, 1) + timedelta(of_era)
    year = day.year + era * 400
    seconds, fraction = divmod(rest, 1_000_000)
    text = f"{year:04}" if year >= 0 else f"-{-year:04}"
    text += f"-{day.month:02}-{day.day:02}T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return text + (f".{fraction:06}" if fraction else "")


def parquet(segment):
    import pyarrow.parquet

    return pyarrow.parquet.read_table(segment)


def arrow(segment):
    import pyarrow.ipc

    return pyarrow.ipc.open_stream(segment).read_all()


def bits(value):
    return struct.pack(">d", float(value)).hex()


OF_TEXT = {"int": int, "float": bits, "bytes": lambda text: b64decode(text, validate=True).hex()}


def jsonl(segment, kinds):
    """What is left out has no value; NULL is null."""
    fields = list(kinds)
    lines = subprocess.run(["zstd", "-dc", segment], check=True, stdout=subprocess.PIPE).stdout
    keys = subprocess.run(["jq", "-c", "keys_unsorted"], input=lines, check=True, stdout=subprocess.PIPE).stdout
    changes = [json.loads(line) for line in lines.decode().split("\n")[:-1]]
    assert [list(change) for change in changes] == [json.loads(line) for line in keys.splitlines()]
    for change in changes:
        values = {fields[pair["column"]]: pair["text"] for pair in change.get("_tidemark_exceptions", [])}
        for name, value in change.items():
            if name in kinds:
                values[name] = value if value is None else OF_TEXT.get(kinds[name], lambda text: text)(value)
        yield {"op": change["_tidemark_op"], "ordinal": change["_tidemark_ordinal"], "values": values}


NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def xml(segment, kinds):
    """What is left out has no value; NULL is nil."""
    fields = list(kinds)
    plain = subprocess.run(["zstd", "-dc", segment], check=True, stdout=subprocess.PIPE).stdout
    for change in ElementTree.fromstring(plain).iter("change"):
        values = {}
        for pair in change.iterfind("_tidemark_exceptions/item"):
            values[fields[int(pair.findtext("column"))]] = pair.findtext("text")
        for element in change:
            kind = kinds.get(element.tag)
            if kind == "list" and element.get(NIL) is None:
                values[element.tag] = [text(item) for item in element]
            elif kind is not None:
                value = text(element)
                values[element.tag] = value if value is None else OF_TEXT.get(kind, lambda text: text)(value)
        ordinal = int(change.findtext("_tidemark_ordinal"))
        yield {"op": change.findtext("_tidemark_op"), "ordinal": ordinal, "values": values}


def text(element):
    if element.get(NIL) == "true":
        return None
    content, plain = element.text or "", ""
    while True:
        before, found, rest = content.partition("_x")
        plain += before
        if not found:
            return plain
        if len(rest) > 4 and rest[4] == "_" and all(digit in "0123456789ABCDEFabcdef" for digit in rest[:4]):
            plain, content = plain + chr(int(rest[:4], 16)), rest[5:]
        else:
            plain, content = plain + found, rest


READERS = {"parquet": of_arrow(parquet), "arrow": of_arrow(arrow), "jsonl": jsonl, "xml": xml}

if __name__ == "__main__":
    main()
