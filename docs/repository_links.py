#!/usr/bin/env python3
"""A preprocessor of mdBook: links to files outside of the book become links to the repository.

In the sources they are relative, so that they work on the host of the repository, and a test
checks them. The repository's address is `git-repository-url` of book.toml.
"""

import json
import os
import re
import sys

LINK = re.compile(r"(\]\(|\]: +|(?:href|src)=\")(\.\./[^)\s\"#]+)")


def chapters(items):
    for item in items:
        chapter = item.get("Chapter") if isinstance(item, dict) else None
        if chapter:
            yield chapter
            yield from chapters(chapter["sub_items"])


def rewrite(text, folder, repository):
    def to_repository(match):
        path = os.path.normpath(os.path.join("docs/src", folder, match[2]))
        if path.startswith("docs/src/"):
            return match[0]
        kind = "raw" if path.endswith((".png", ".svg")) else "blob"
        return f"{match[1]}{repository}/{kind}/main/{path}"

    return LINK.sub(to_repository, text)


def main():
    if sys.argv[1:2] == ["supports"]:
        return
    context, book = json.load(sys.stdin)
    repository = context["config"]["output"]["html"]["git-repository-url"]
    for chapter in chapters(book.get("items") or book["sections"]):
        folder = os.path.dirname(chapter["path"] or "")
        chapter["content"] = rewrite(chapter["content"], folder, repository)
    json.dump(book, sys.stdout)


main()
