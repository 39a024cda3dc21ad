#!/usr/bin/env python3
"""Runs request/response files against the real binary: tests/api/cases/*.json, each on a house of its own.

A file is a list of steps. A step sends one request and says what must come back:

  {"as": "operator", "service": "kms", "target": "TrentService.CreateKey", "input": {...},
   "status": 200, "expect": {"KeyMetadata": {"Enabled": true}}, "save": {"key": "KeyMetadata.KeyId"}}
  {"as": "operator", "service": "iam", "form": {"Action": "GetUser", "UserName": "x"}, "status": 404, "contains": ["NoSuchEntity"]}

`expect` is a subset of the JSON answer ("*" is anything that is there); `contains` are texts of the raw answer;
`save` keeps parts of a JSON answer and `save_xml` of an XML one, used later as ${name}. `as` may be "nobody", "operator",
or a name that `login` saved: {"login": "alice", "access": "${k}", "secret": "${s}", "token": "${t}"}.
"""
import json
import pathlib
import re
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support.house import Credentials, House  # noqa: E402

CASES = pathlib.Path(__file__).resolve().parent / "cases"


def fill(value, saved):
    if isinstance(value, str):
        return re.sub(r"\$\{(\w+)\}", lambda m: str(saved.get(m[1], m[0])), value)
    if isinstance(value, list):
        return [fill(v, saved) for v in value]
    if isinstance(value, dict):
        return {k: fill(v, saved) for k, v in value.items()}
    return value


def subset(expected, actual, path="answer"):
    if expected == "*":
        return [] if actual is not None else [f"{path} is missing"]
    if isinstance(expected, dict):
        if not isinstance(actual, dict):
            return [f"{path} is {actual!r}, not an object"]
        return [p for k, v in expected.items() for p in subset(v, actual.get(k), f"{path}.{k}")]
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(expected) != len(actual):
            return [f"{path} is {actual!r}, expected {expected!r}"]
        return [p for i, v in enumerate(expected) for p in subset(v, actual[i], f"{path}[{i}]")]
    return [] if expected == actual else [f"{path} is {actual!r}, expected {expected!r}"]


def run(file, house):
    saved = {"endpoint": house.endpoint}
    people = {"operator": house.operator()}
    problems = []
    for number, raw in enumerate(json.loads(file.read_text()), 1):
        step = fill(raw, saved)
        if "login" in step:
            people[step["login"]] = Credentials(step["access"], step["secret"], step.get("token"))
            continue
        where = f"{file.name}:{number} {step.get('target') or step.get('form', {}).get('Action') or step.get('path')}"
        headers = dict(step.get("headers", {}))
        if "form" in step:
            body = urllib.parse.urlencode(step["form"]).encode()
            headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        elif "input" in step:
            body = json.dumps(step["input"]).encode()
            headers.setdefault("Content-Type", "application/x-amz-json-1.1")
            headers["X-Amz-Target"] = step["target"]
        else:
            body = step.get("body", "").encode()
        method, path = step.get("method", "POST"), step.get("path", "/")
        if step.get("as") == "nobody":
            status, got_headers, answer = house.http(method, path, headers, body)
        else:
            status, got_headers, answer = house.signed(people[step.get("as", "operator")], step["service"], method, path, headers, body)
        text = answer.decode(errors="replace")
        found = []
        if status != step.get("status", 200):
            found.append(f"status is {status}, expected {step.get('status', 200)}")
        if "expect" in step:
            try:
                found += subset(step["expect"], json.loads(text))
            except ValueError:
                found.append("the answer is no JSON")
        for wanted in step.get("contains", []):
            if wanted not in text:
                found.append(f"{wanted!r} is not in the answer")
        for unwanted in step.get("lacks", []):
            if unwanted in text:
                found.append(f"{unwanted!r} is in the answer")
        for name, path_in in step.get("save", {}).items():
            value = json.loads(text)
            for key in path_in.split("."):
                value = value[int(key)] if isinstance(value, list) else value.get(key)
                if value is None:
                    found.append(f"{path_in} is missing")
                    break
            saved[name] = value
        for name, tag in step.get("save_xml", {}).items():
            match = re.search(rf"<{tag}>([^<]*)</{tag}>", text)
            if match:
                saved[name] = match[1]
            else:
                found.append(f"<{tag}> is missing")
        problems += [f"{where}: {p}\n    {text[:600]}" for p in found]
        if found:
            break  # later steps stand on this one
    return problems


def main():
    wanted = sys.argv[1:]
    files = [f for f in sorted(CASES.glob("*.json")) if not wanted or f.stem in wanted]
    failed = 0
    for file in files:
        with House() as house:
            problems = run(file, house)
        print(f"{'FAILED' if problems else 'ok'} {file.name}")
        for p in problems:
            print("  " + p)
        failed += bool(problems)
    if not files:
        print("no such cases")
        failed = 1
    sys.exit(1 if failed else 0)


main()
