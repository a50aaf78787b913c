"""Runs the benches that stand in bench/results.md, and writes it: product and floor in turns.

.venv/bin/python bench/results.py
"""

import sys
import time
from importlib.metadata import version
from pathlib import Path

import cancels
import latencies
import operations
import submits
import throughput
from side_by_side import machine

HEAD = """# What it costs, beside what bounds it

Written by `make bench` (`bench/results.py`): {version}, on {when}.
{machine}.

Product and floor were measured in turns, in one run, on the same disk; a cell is a median, and
between what the rounds lay. What each floor is stands at the top of `bench/cancels.py`,
`submits.py`, `throughput.py` and `operations.py`. Figures of different runs do not compare:
ratios do.
"""


def main() -> None:
    head = HEAD.format(
        version=f"Rescind {version('rescind')}", when=time.strftime("%Y-%m-%d"), machine=machine()
    )
    parts = [cancels.main(), submits.main(), throughput.main(), latencies.main()]
    parts.append(operations.main())
    text = "\n".join([head, *parts])
    (Path(__file__).parent / "results.md").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
