#!/usr/bin/env python3
"""Every link of the built book leads somewhere: links.py FOLDER

Within the book to a page and to a place on it; to the repository to a file of it.
"""

import html.parser
import os
import sys
import urllib.parse

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))


class Page(html.parser.HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.repository = set(), [], None
        with open(path, encoding="utf-8") as file:
            self.feed(file.read())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.update(filter(None, (attributes.get("id"), attributes.get("name"))))
        for name in ("href", "src"):
            if attributes.get(name):
                self.links.append(attributes[name])
        if attributes.get("title") == "Git repository":
            self.repository = attributes["href"]


def objection(folder, path, page, link, pages):
    target, fragment = urllib.parse.urldefrag(link)
    parts = urllib.parse.urlsplit(target)
    if page.repository and target.startswith(page.repository):
        rest = target[len(page.repository) :].split("/", 3)
        if len(rest) < 4:
            return None
        file = os.path.join(ROOT, urllib.parse.unquote(rest[3]))
        return None if os.path.exists(file) else "no such file in the repository"
    if parts.scheme or parts.netloc or target.startswith("javascript:"):
        return None
    name = urllib.parse.unquote(parts.path)
    file = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
    if not os.path.exists(file):
        return "no such file"
    if fragment and file.endswith(".html"):
        if file not in pages:
            pages[file] = Page(file)
        if urllib.parse.unquote(fragment) not in pages[file].ids:
            return "no such place"
    return None


def main():
    folder = os.path.realpath(sys.argv[1])
    pages = {}
    for name in sorted(os.listdir(folder)):
        # The whole book on one page, for printing, has the links of the others.
        if name.endswith(".html") and name not in ("print.html", "404.html", "toc.html"):
            pages[os.path.join(folder, name)] = None
    for path in pages:
        pages[path] = Page(path)
    links, wrong = 0, []
    for path, page in list(pages.items()):
        if page.repository is None and not path.endswith("index.html"):
            wrong.append(f"{path}: no link to the repository")
        for link in page.links:
            links += 1
            why = objection(folder, path, page, link, pages)
            if why:
                wrong.append(f"{os.path.basename(path)}: {link}: {why}")
    if wrong:
        sys.exit("\n".join(wrong))
    if len(pages) < 15 or links < 300:
        sys.exit(f"only {len(pages)} pages and {links} links were found")
    print(f"{links} links of {len(pages)} pages lead somewhere")


main()
