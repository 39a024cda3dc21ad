#!/usr/bin/env python3
"""Every operation that models/*/implemented lists is there, and says what it is authorised against."""
import pathlib
import subprocess

from support.house import BINARY, ROOT

done = subprocess.run([BINARY, "operations"], capture_output=True, text=True, timeout=120)
assert done.returncode == 0, done.stderr
there = {tuple(line.split()[:2]) for line in done.stdout.splitlines()}
listed = {(file.parent.name, name) for file in pathlib.Path(ROOT, "models").glob("*/implemented") for name in file.read_text().split()}
assert listed - there == set(), f"listed and not there: {sorted(listed - there)}"
assert there - listed == set(), f"there and not listed: {sorted(there - listed)}"
print(f"{len(there)} operations")
