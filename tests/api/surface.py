#!/usr/bin/env python3
"""What each published crate offers, as rustdoc shows it: one line an item, a method or an
implementation. The files beside this one hold it, so that a change of the public surface is seen in
a diff.

    tests/api/surface.py            compares; exit code 1 if they differ
    tests/api/surface.py --write    writes the files anew

It reads target/doc, which `tests/run doc` has just made.
"""

import difflib
import pathlib
import sys
from html.parser import HTMLParser

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent.parent / "target" / "doc"
CRATES = ["actix_web_sse", "actix_web_sse_metrics", "actix_web_sse_redis", "sse_probe"]


class Page(HTMLParser):
    """Collects the declaration of an item and the heads of its methods and implementations."""

    def __init__(self):
        super().__init__()
        self.lines = []
        self.text = None
        self.until = None
        self.depth = 0
        self.over = False
        self.heads_only = False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if attributes.get("id") == "blanket-implementations":
            self.over = True
        if attributes.get("id") in ("trait-implementations", "implementors"):
            self.heads_only = True
        if self.text is not None:
            self.depth += tag == self.until
            return
        classes = (attributes.get("class") or "").split()
        wanted = "item-decl" in classes or "code-header" in classes
        if wanted and not self.over and not (self.heads_only and tag == "h4"):
            self.text, self.until, self.depth = [], tag, 1

    def handle_endtag(self, tag):
        if self.text is None or tag != self.until:
            return
        self.depth -= 1
        if self.depth == 0:
            line = " ".join("".join(self.text).split())
            self.text = None
            if not line.startswith(COMPILER_MARKERS):
                self.lines.append(line)

    def handle_data(self, data):
        if self.text is not None:
            self.text.append(data)


class Index(HTMLParser):
    """The pages that all.html names."""

    def __init__(self):
        super().__init__()
        self.pages = []

    def handle_starttag(self, tag, attributes):
        href = dict(attributes).get("href") or ""
        kind = href.rsplit("/", 1)[-1].split(".", 1)[0]
        if tag == "a" and kind in KINDS and "://" not in href:
            self.pages.append(href)


# Markers of the compiler's own, which come and go with its version.
COMPILER_MARKERS = ("impl Freeze", "impl !Freeze", "impl UnsafeUnpin", "impl !UnsafeUnpin", "impl Structural")

KINDS = {"struct", "enum", "trait", "fn", "macro", "type", "constant", "static", "union", "derive", "attr"}


def parsed(parser, path):
    parser.feed(path.read_text(encoding="utf-8"))
    return parser


def surface(crate):
    root = DOCS / crate
    if not root.is_dir():
        sys.exit(f"{root} is not there: run `tests/run doc`")
    for page in sorted(set(parsed(Index(), root / "all.html").pages)):
        kind, name = page.rsplit("/", 1)[-1].split(".")[:2]
        path = "::".join([crate, *page.split("/")[:-1], name])
        yield f"{kind} {path}"
        for line in parsed(Page(), root / page).lines:
            yield f"    {line}"


def main():
    write = sys.argv[1:] == ["--write"]
    if sys.argv[1:] and not write:
        sys.exit(__doc__)
    differ = False
    for crate in CRATES:
        golden = HERE / f"{crate}.txt"
        now = "".join(f"{line}\n" for line in surface(crate))
        if write:
            golden.write_text(now, encoding="utf-8")
            continue
        known = golden.read_text(encoding="utf-8") if golden.exists() else ""
        if now != known:
            differ = True
            sys.stdout.writelines(
                difflib.unified_diff(
                    known.splitlines(True), now.splitlines(True), str(golden.name), "the docs"
                )
            )
    if differ:
        sys.exit("the public surface has changed; if that is meant: tests/api/surface.py --write")


if __name__ == "__main__":
    main()
