#!/usr/bin/env python3
"""What the documents quote is there: blocks of C are in the file they name (```c FILE), word for word, and files and
names of the code in `backquotes` exist."""
import os
import pathlib
import re
import sys

SOURCE = pathlib.Path(os.environ["SSFD_SOURCE"])
FOLDERS = "src", "tests", "scripts", "configs", "docs"


def text_of(path):
    return path.read_text(encoding="utf-8", errors="replace")


def quoted(document):
    """The blocks of C in a document: number of the line, file, text."""
    for m in re.finditer(r"^```c\b ?(.*)\n((?s:.*?))^```$", document, re.M):
        yield document[:m.start()].count("\n") + 1, m[1].strip(), m[2]


def main():
    code = "\n".join(text_of(p) for folder in ("src", "tests", "scripts", "configs")
                     for p in sorted((SOURCE / folder).rglob("*")) if p.is_file() and p.suffix != ".h5")
    known = set(re.findall(r"\w+", code))
    bad = blocks = names = 0
    for path in [SOURCE / "README.md", *sorted((SOURCE / "docs").glob("*.md"))]:
        document = text_of(path)
        for line, file, block in quoted(document):
            blocks += 1
            if not file or not (SOURCE / file).is_file():
                print(f"{path.name}:{line}: a block of C names no file: '{file}'", file=sys.stderr)
                bad = 1
            elif block not in text_of(SOURCE / file):
                print(f"{path.name}:{line}: this is not in {file}:\n{block}", file=sys.stderr)
                bad = 1
        prose = re.sub(r"^```.*?^```$", "", document, flags=re.M | re.S)
        for tick in re.findall(r"`([^`\n]+)`", prose):
            names += 1
            files = re.findall(rf"(?:^|(?<=\s))(?:{'|'.join(FOLDERS)})/[\w./-]*\w", tick)
            words = re.findall(r"\b[A-Za-z]\w*_\w+\b", tick) if not re.search("[/=]", tick) else []
            for gone in [f for f in files if not (SOURCE / f).exists()] + [w for w in words if w not in known]:
                print(f"{path.name}: `{tick}`: there is no '{gone}'", file=sys.stderr)
                bad = 1
    print(f"{blocks} blocks, {names} names")
    return bad


sys.exit(main())
