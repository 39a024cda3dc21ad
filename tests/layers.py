#!/usr/bin/env python3
"""Checks that every room under src/ includes only the rooms that tests/layers.txt lets it."""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
allowed = {}
for line in (root / "tests/layers.txt").read_text().splitlines():
    if line.strip() and not line.startswith("#"):
        room, _, uses = line.partition(":")
        allowed[room.strip()] = set(uses.split())

wrong = []
for path in sorted((root / "src").rglob("*")):
    if path.suffix not in (".h", ".cc") or path.parent == root / "src":
        continue  # the wiring files know everyone
    parts = path.relative_to(root / "src").parts
    room = parts[0]
    own_service = parts[1] if room == "services" else None
    if room not in allowed:
        wrong.append(f"{path.relative_to(root)}: room '{room}' is missing from tests/layers.txt")
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#include "([a-z0-9_]+)/(?:([a-z0-9_]+)/)?[^"]*"', line)
        if not match:
            continue
        target = "model" if match[1] == "gen" else match[1]
        where = f"{path.relative_to(root)}:{number}"
        if target == "services" and room == "services":
            if match[2] != own_service:
                wrong.append(f"{where}: service '{own_service}' includes service '{match[2]}'")
        elif target != room and target not in allowed[room]:
            wrong.append(f"{where}: room '{room}' may not include '{target}'")
        if line.strip().startswith('#include <boost/asio') and room != "net":
            wrong.append(f"{where}: Asio belongs to src/net/*.cc alone")

print("\n".join(wrong) or f"{len(allowed)} rooms in order")
sys.exit(1 if wrong else 0)
