#!/usr/bin/env python3
"""Compares the benchmark of this tree with that of an earlier commit, in turns.

    tests/bench/compare.py COMMIT             nine rounds, some fifteen minutes
    tests/bench/compare.py COMMIT --rounds 7

Each round runs `bench run --quick --only ours` of both, in an order that alternates, on the same
cores. The earlier commit is measured by its own benchmark, which must print tables with the same
headings. Printed is the median of the ratios new/old of each round, with the least and the most:
a machine that is slow for a while is so for both.
"""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def build(tree, target):
    subprocess.run(
        [
            "cargo", "build", "--release", "--locked", "--quiet",
            "--manifest-path", os.path.join(tree, "tests/bench/Cargo.toml"),
            "--target-dir", target,
        ],
        check=True,
    )
    return os.path.join(target, "release/bench")


def figures(program):
    """The figures of one run: {(row, column): value} for the rows about this library."""
    out = subprocess.run(
        [program, "run", "--quick", "--only", "ours"],
        check=True, capture_output=True, text=True,
    ).stdout
    found, heading = {}, []
    for line in out.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            heading = []
        elif not heading:
            heading = cells
        elif not set(cells[0]) <= set("-") and cells[0] and len(cells) == len(heading):
            for name, cell in zip(heading[1:], cells[1:]):
                if name.startswith(("CPU", "private", "16 in", "ms")) and re.fullmatch(r"-?[\d.]+", cell):
                    found[(cells[0], name)] = float(cell)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    new = build(ROOT, os.path.join(ROOT, "target/bench"))
    with tempfile.TemporaryDirectory() as folder:
        tree = os.path.join(folder, "tree")
        git = ["git", "-C", ROOT, "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", tree, arguments.commit], check=True)
        try:
            old = build(tree, os.path.join(ROOT, "target/bench-old"))
        finally:
            subprocess.run([*git, "remove", "--force", tree], check=True)

    ratios, values = {}, {}
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
        order = [("old", old), ("new", new)]
        round_ = {side: figures(program) for side, program in order[:: 1 if number % 2 == 0 else -1]}
        for key in round_["old"].keys() & round_["new"].keys():
            before, after = round_["old"][key], round_["new"][key]
            values.setdefault(key, []).append((before, after))
            if before > 0:
                ratios.setdefault(key, []).append(after / before)

    print("| what | figure | old | new | new/old | least | most |\n|---|---|---|---|---|---|---|")
    for key in sorted(ratios, key=lambda key: list(values).index(key)):
        before, after = (statistics.median(side) for side in zip(*values[key]))
        spread = ratios[key]
        print(
            f"| {key[0]} | {key[1]} | {before:.2f} | {after:.2f} | "
            f"{statistics.median(spread):.3f} | {min(spread):.3f} | {max(spread):.3f} |"
        )


if __name__ == "__main__":
    main()
