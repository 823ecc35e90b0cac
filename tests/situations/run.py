#!/usr/bin/env python3
"""Runs the situations (grafana/rules/situations.md) with other rules than those of the work tree.

    tests/situations/run.py --rules 9d18443   the rules of that commit: what would not have rung then
    tests/situations/run.py --left-open       as Prometheus 3 reads a range: without the sample at its beginning

It needs promtool and git, and what the Rust test has written below target/tmp/situations:

    cargo test -p actix-web-sse-metrics --features promtool --test grafana every_situation

It says how many situations fail, and in which way. Exit code 1 if any does.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SITUATIONS = ROOT / "target" / "tmp" / "situations"
RULES = "grafana/rules"

LOOK = re.compile(r'    expr: .*?, time: (\S+),\s+exp: (.*?)\n\s+got: (.*?)(?=\n\s+expr: |\Z)', re.DOTALL)
ALERT = re.compile(r'alertname="(\w+)".*?severity="(\w+)"')

# The worst of what is wrong with a situation comes first.
KINDS = [
    ("error", "a rule cannot be evaluated, as series match twice"),
    ("silent", "nothing of the severity rings, ever"),
    ("clears", "rings, and is off again while the fault lasts, or comes too late"),
    ("false", "rings at that severity without a fault, or after it"),
    ("place", "rings, but without the labels that name the place, or under the name of another cause"),
    ("other", "fails otherwise"),
]


def git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True, text=True).stdout


def of_commit(revision, folder):
    """The rules of a commit; the names of their files."""
    names = git("ls-tree", "--name-only", revision, f"{RULES}/").split()
    names = [name for name in names if name.endswith(".yml")]
    for name in names:
        (folder / pathlib.Path(name).name).write_text(git("show", f"{revision}:{name}"))
    return sorted(pathlib.Path(name).name for name in names)


def left_open(folder):
    """Each range a second shorter, which leaves the sample at its beginning out."""
    names = ["alerts.yml", "probe.yml"]
    seconds = {"m": 60, "h": 3600, "d": 86400}
    shorter = lambda found: f"[{int(found[1]) * seconds[found[2]] - 1}s]"
    for name in names:
        text = (ROOT / RULES / name).read_text()
        (folder / name).write_text(re.sub(r"\[(\d+)([mhd])\]", shorter, text))
    return names


def samples(text):
    """(alert, severity) of each, and their text."""
    return collections.Counter(ALERT.findall(text)), text.strip()


def severities(found):
    return collections.Counter(severity for (_, severity), count in found.items() for _ in range(count))


def looks_of(part, rules):
    """Of one file: for each look that fails, what was expected and what there was."""
    text = part.read_text()
    listed = ", ".join(str(rules[0].parent / name.name) for name in rules)
    text = re.sub(r"^rule_files: .*$", f"rule_files: [{listed}]", text, flags=re.MULTILINE)
    test = rules[0].parent / part.name
    test.write_text(text)
    run = subprocess.run(["promtool", "test", "rules", test], capture_output=True, text=True)
    output = run.stdout + run.stderr
    failed = [(time, samples(expected), samples(got)) for time, expected, got in LOOK.findall(output)]
    # A rule that cannot be evaluated ends the test.
    error = re.search(r"rule: (\w+), time: \S+, err: ", output)
    if error:
        return [error[1]], 0
    if run.returncode and not failed:
        raise RuntimeError(f"{part.name}: {output}")
    # Of all looks, those at which something of this severity is expected.
    loud = len(re.findall(r"eval_time: \S+\n        exp_samples:\n", text))
    return failed, loud


def judge(parts):
    """The kinds of what is wrong with a situation."""
    kinds = set()
    if any(isinstance(look, str) for failed, _ in parts for look in failed):
        return {"error"}
    expected_looks = sum(loud for _, loud in parts)
    missed = 0
    for failed, _ in parts:
        for _, (expected, _), (got, _) in failed:
            wanted, there = severities(expected), severities(got)
            lacking = [severity for severity in wanted if not there[severity]]
            needless = [severity for severity in ("critical", "warning") if there[severity] and not wanted[severity]]
            missed += bool(lacking)
            if needless:
                kinds.add("false")
            if not lacking and not needless:
                kinds.add("place")
    if missed:
        kinds.add("silent" if missed == expected_looks else "clears")
    return kinds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--rules", metavar="COMMIT")
    which.add_argument("--left-open", action="store_true")
    parser.add_argument("--list", action="store_true", help="name each situation that fails")
    options = parser.parse_args()
    if not SITUATIONS.is_dir():
        sys.exit(f"{SITUATIONS} is missing; see --help")
    situations = collections.defaultdict(list)
    for part in sorted(SITUATIONS.glob("*.yml")):
        situations[part.stem.rsplit("-", 1)[0]].append(part)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        names = of_commit(options.rules, folder) if options.rules else left_open(folder)
        # Recorded series first: rules ask for what was recorded before them.
        names.sort(key=lambda name: name != "recording.yml")
        rules = [folder / name for name in names]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            run = lambda parts: [looks_of(part, rules) for part in parts]
            results = dict(zip(situations, pool.map(run, situations.values())))
    failing = {name: judge(parts) or {"other"} for name, parts in results.items() if any(failed for failed, _ in parts)}
    print(f"{len(failing)} of {len(situations)} situations fail")
    for kind, meaning in KINDS:
        of_kind = [name for name, kinds in failing.items() if next(k for k, _ in KINDS if k in kinds) == kind]
        if of_kind:
            themes = collections.Counter(name.rsplit("-", 1)[0] for name in of_kind)
            print(f"{len(of_kind):4} {meaning}: " + ", ".join(f"{theme} {count}" for theme, count in themes.items()))
        if options.list:
            for name in of_kind:
                title = re.search(r"- name: '(.*)'", situations[name][0].read_text())[1]
                print(f"       {name}: {title}")
    return bool(failing)


if __name__ == "__main__":
    sys.exit(main())
