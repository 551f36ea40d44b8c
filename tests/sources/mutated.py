"""Import mutated files, and say how each import ended; a process of its own, because it may crash.

    python mutated.py FOLDER SEED COUNT

Each line of the output is a file's number, how its import ended, and what was said.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import shutil
import sys
import traceback
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.core.schema import WorkbookError
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

TOKENS = (
    b'"', b'""', b"\\", b"\n", b"\r", b"\0", b",", b"\t", b";", b"\xff", b"\xed\xa0\x80",
    b"[", b"{", b"}", b"]", b"\xe2\x80\xae", b"[" * 300, b'{"a":' * 300, b"\\ud800", b"9" * 5_000,
    b"1e999", b"NaN",
    b"\xef\xbb\xbf", b"-", b":", b"null", b"true", b"@", b"2026-01-01T00:00Z", b"9999-12-31T00:00Z",
)  # fmt: skip


def rows() -> list[dict[str, object]]:
    return [
        {
            "user": f"u{n % 3}",
            "time": f"2026-01-0{n % 9 + 1}T0{n % 7}:00:00Z",
            "event": ("visit", "buy")[n % 2],
            "title": f'a "good", deal\nof {n}',
            "value": n / 4,
            "more": {"x": [f"{n}", "é"]},
        }
        for n in range(12)
    ]


def bases() -> dict[str, bytes]:
    """Sound files of every format."""
    cells = rows()
    quoted = [
        ",".join('"' + str(cell).replace('"', '""') + '"' for cell in row.values()) for row in cells
    ]
    plain = ["\t".join(str(cell).replace("\n", " ") for cell in row.values()) for row in cells]
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(cells), table, row_group_size=5)
    header = list(cells[0])
    found = {
        "a.csv": "\n".join([",".join(header), *quoted, ""]).encode(),
        "b.tsv": "\n".join(["\t".join(header), *plain]).encode(),
        "c.jsonl": "\n".join(map(json.dumps, cells)).encode(),
        "d.json": json.dumps(cells, indent=1).encode(),
        "e.parquet": table.getvalue(),
    }
    return found | {
        f"{name}.gz": gzip.compress(found[name], mtime=0) for name in ("a.csv", "c.jsonl")
    }


def mutated(content: bytes, draw: random.Random) -> bytes:
    """The content with a few changes of the kinds that disks, people and programs make."""
    text = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4))):
        at = draw.randrange(len(text) + 1)
        kind = draw.randrange(5)
        if kind == 0 and at < len(text):
            text[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del text[at:]
        elif kind == 2:
            text[at:at] = draw.choice(TOKENS)
        elif kind == 3:
            del text[at : at + draw.randrange(1, 40)]
        else:
            stretch = bytes(text[at : at + draw.randrange(1, 80)])
            place = draw.randrange(len(text) + 1)
            text[place:place] = stretch
    return bytes(text)


def ending(path: Path, to: Path) -> str:
    """How an import ends: rows that add up, an error of the call or the data, or a bug."""
    try:
        counts = import_files([path], ColumnMapping(), to)
    except WorkbookError as error:
        words = str(error)
        return "said" if words and "\n" not in words else f"BUG more than a line: {words!r}"
    except BaseException:
        return f"BUG {traceback.format_exc()!r}"
    return "rows" if counts.rows_in == sum(counts[1:]) else f"BUG {counts}"


def main() -> None:
    folder, seed, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    files = bases()
    for number in range(seed, seed + count):
        draw = random.Random(number)
        name = draw.choice(sorted(files))
        path, to = folder / name, folder / "log"
        path.write_bytes(mutated(files[name], draw))
        print(number, name, flush=True)
        print(ending(path, to), flush=True)
        shutil.rmtree(to, ignore_errors=True)


if __name__ == "__main__":
    main()
