#!/usr/bin/env python3
"""Runs the commands of the README and of the book, page by page, as a reader would.

    tests/book/commands.py [PAGE ...]

A block of `sh` runs in bash and must succeed. What a block is, says a comment on the line above it:

    <!-- background: URL -->   a server: it goes on to the end of the page; the next block waits for URL
    <!-- ends by time -->      curl ends it (its exit code is 28)
    <!-- not run: REASON -->   it needs what is not here; a test in tests/repository counts these
    <!-- file: PATH -->        no command: the block is written to this file

`<!-- commands: in an empty folder -->` on a page has its commands run in one; elsewhere they run at
the top of the repository.

Three things are replaced. Programs of the repository are those that the suite has built (debug), where a
page says `cargo run -p`. What `cargo add` would fetch of this repository are the packages that
`tests/run package` has made. And `cargo` is offline: it has what the suite has fetched.

Where it can, each page runs in a network namespace of its own, so that ports are free, and several pages at
a time, as most of their commands wait.
"""

import concurrent.futures
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
PACKAGES = os.path.join(ROOT, "target/package/unpacked")
FENCE = re.compile(r"^```(\w*)(.*)$")
MARK = re.compile(r"^<!-- (background|ends by time|not run|file)(?:: (.*))? -->$")
LIMIT = 600
AT_ONCE = 4
OURS = ("actix-web-sse", "actix-web-sse-metrics", "actix-web-sse-redis")


class Block:
    def __init__(self, page, line, language, mark, text):
        self.page, self.line, self.language, self.text = page, line, language, text
        self.kind, self.value = mark or ("run", None)

    def __str__(self):
        return f"{self.page}:{self.line}: {self.text.strip().splitlines()[0]}"


def blocks(page):
    """The blocks of a page that mean something here."""
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        lines = file.read().split("\n")
    found, mark, at = [], None, 0
    while at < len(lines):
        fence = FENCE.match(lines[at])
        if fence:
            end = lines.index("```", at + 1)
            text = "\n".join(lines[at + 1 : end]) + "\n"
            block = Block(page, at + 1, fence[1], mark, text)
            if block.kind == "file" or block.language == "sh":
                found.append(block)
            elif mark:
                raise SystemExit(f"{block}: a mark above a block that is no command")
            at, mark = end, None
        elif MARK.match(lines[at]):
            mark = MARK.match(lines[at]).groups()
        elif lines[at].strip():
            mark = None
        at += 1
    return found, "<!-- commands: in an empty folder -->" in lines


def replaced(text):
    text = re.sub(r"cargo run --release -p ([\w-]+)(?: --(?= ))?", r"\1", text)
    text = re.sub(r"cargo run -p [\w-]+ --example (\w+) --", rf"{ROOT}/target/debug/examples/\1", text)
    added = re.search(r"^cargo add (.*)$", text, re.M)
    if added:
        names = added[1].split()
        commands = [f"cp {ROOT}/target/package/bare/Cargo.lock ."]
        others = [name for name in names if name not in OURS]
        if others:
            commands.append("cargo add --quiet " + " ".join(others))
        for name in names:
            if name in OURS:
                commands.append(f"cargo add --quiet --path {PACKAGES}/{name}-[0-9]*/")
        text = text.replace(added[0], "\n".join(commands))
    return text


def answers(url):
    if url.startswith("tcp://"):
        host, port = url[6:].split(":")
        try:
            socket.create_connection((host, int(port)), 1).close()
            return True
        except OSError:
            return False
    try:
        urllib.request.urlopen(url, timeout=2).close()
        return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def wait_for(url, process, block):
    until = time.monotonic() + LIMIT
    while not answers(url):
        if process.poll() is not None:
            raise SystemExit(f"{block}: it has ended, with {process.returncode}")
        if time.monotonic() > until:
            raise SystemExit(f"{block}: {url} does not answer")
        time.sleep(0.1)


def environment(scratch):
    env = dict(os.environ)
    ours = [os.path.join(ROOT, "target/debug"), os.path.join(ROOT, "tests/collector/site-packages/rotel")]
    env["PATH"] = os.pathsep.join([*ours, env["PATH"]])
    env["CARGO_NET_OFFLINE"] = "true"
    env["CARGO_TARGET_DIR"] = os.path.join(ROOT, "target")
    env["CARGO_PROFILE_DEV_DEBUG"] = "line-tables-only"
    env["CARGO_TERM_COLOR"] = "never"
    # Crates of ours that others of ours ask the registry for.
    os.makedirs(os.path.join(scratch, ".cargo"))
    with open(os.path.join(scratch, ".cargo/config.toml"), "w", encoding="utf-8") as file:
        file.write("[patch.crates-io]\n")
        for name in OURS:
            for folder in sorted(os.listdir(PACKAGES) if os.path.isdir(PACKAGES) else []):
                if re.fullmatch(re.escape(name) + r"-\d.*", folder):
                    file.write(f'{name} = {{ path = "{PACKAGES}/{folder}" }}\n')
    return env


def run_page(page, scratch):
    """Runs a page; the number of its commands that were run."""
    found, in_empty_folder = blocks(page)
    found = [block for block in found if block.kind != "not run"]
    if not found:
        return 0
    print(f"{page}", flush=True)
    env = environment(scratch)
    where = scratch if in_empty_folder else ROOT
    place = os.path.join(scratch, ".where")
    servers = []
    try:
        for block in found:
            if block.kind == "file":
                path = os.path.join(where, block.value)
                with open(path, "w", encoding="utf-8") as file:
                    # rustdoc hides these lines.
                    lines = block.text.splitlines(keepends=True)
                    file.writelines(line for line in lines if not line.startswith("# "))
                continue
            print(f"  {block.line}: {block.text.strip().splitlines()[-1][:100]}", flush=True)
            script = f"set -eo pipefail\ncd '{where}'\n"
            if block.kind == "background":
                if answers(block.value):
                    raise SystemExit(f"{block}: somebody else answers at {block.value}")
                log = open(os.path.join(scratch, f"{block.line}.log"), "wb")
                process = subprocess.Popen(
                    ["bash", "-c", script + replaced(block.text)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True,
                )
                servers.append((process, log.name))
                wait_for(block.value, process, block)
                continue
            script += f"trap 'pwd > {place}' EXIT\n" + replaced(block.text)
            done = subprocess.run(
                ["bash", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, env=env, timeout=LIMIT, check=False,
            )
            good = (0, 28) if block.kind == "ends by time" else (0,)
            if done.returncode not in good:
                sys.stdout.buffer.write(done.stdout)
                raise SystemExit(f"{block}: exit code {done.returncode}")
            with open(place, encoding="utf-8") as file:
                where = file.read().strip()
    except BaseException:
        for _, log in servers:
            with open(log, "rb") as file:
                sys.stdout.buffer.write(file.read()[-2000:])
        raise
    finally:
        for process, _ in servers:
            stop(process)
    return sum(block.kind != "file" for block in found)


def stop(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def pages():
    with open(os.path.join(ROOT, "docs/src/SUMMARY.md"), encoding="utf-8") as file:
        names = re.findall(r"\]\(([\w-]+\.md)\)", file.read())
    return ["README.md"] + [f"docs/src/{name}" for name in names]


def namespace():
    """The beginning of a command that runs in a network of its own; nothing, if there can be none."""
    if shutil.which("unshare") and shutil.which("ip"):
        for options in (["--net"], ["--net", "--map-root-user"]):
            command = ["unshare", *options, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
            if subprocess.run([*command, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
                return command
    return None


def run(page):
    with tempfile.TemporaryDirectory() as scratch:
        return run_page(page, scratch)


def apart(page, command):
    """Runs a page in a network of its own; what it wrote, and the number of its commands."""
    script = [*command, sys.executable, os.path.realpath(__file__), page]
    env = {**os.environ, "BOOK_NETWORK": "own"}
    done = subprocess.run(script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, check=False)
    *said, last = done.stdout.decode(errors="replace").splitlines(keepends=True) or [""]
    if done.returncode != 0:
        raise SystemExit("".join([*said, last]))
    return "".join(said), int(last.split()[0])


def main():
    chosen, count = sys.argv[1:] or pages(), 0
    command = None if os.environ.get("BOOK_NETWORK") else namespace()
    if command is None:
        count = sum(run(page) for page in chosen)
    else:
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for text, number in pool.map(lambda page: apart(page, command), chosen):
                print(text, end="", flush=True)
                count += number
    print(f"{count} blocks of commands were run")


main()
