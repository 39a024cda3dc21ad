#!/usr/bin/env python3
"""Environments cannot reach one another: names, connections and forged addresses, tried from inside the tasks' own
network namespaces after a real delivery to stage and prod; the security group that allows it is what lets one in."""
import json
import os
import subprocess

from support.house import ROOT
from support.town import Town, git, need_root, wait_for

need_root()

ASK = """
import socket, struct, sys
name, server = sys.argv[1:]
question = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\\0" + struct.pack(">HH", 1, 1)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(question, (server, 53))
answer = s.recv(512)
print(".".join(map(str, answer[-4:])) if answer[3] & 15 == 0 and answer[7] else f"rcode {answer[3] & 15}")
"""
REACH = """
import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5, (sys.argv[3], 0) if len(sys.argv) > 3 else None)
    print("reached")
except OSError as e:
    print("refused by the host" if e.errno == 99 else "blocked")
"""


def inside(pid, program, *arguments):
    done = subprocess.run(["nsenter", "-t", str(pid), "-n", "/usr/bin/python3", "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def tasks(town):
    """Pid by address of each running task of the app."""
    out = {}
    for pid in subprocess.run(["pgrep", "-f", "^/app/storefront"], capture_output=True, text=True).stdout.split():
        address = subprocess.run(["nsenter", "-t", pid, "-n", "ip", "-4", "-o", "address", "show", "dev", "eth0"], capture_output=True, text=True).stdout.split()
        if address:
            out[address[3].split("/")[0]] = pid
    return out


def addresses(town, environment):
    arns = json.loads(town.bastide("aws", "--profile", environment, "ecs", "list-tasks", "--cluster", "storefront").stdout)["taskArns"]
    described = json.loads(town.bastide("aws", "--profile", environment, "ecs", "describe-tasks", "--cluster", "storefront", "--tasks", *arns).stdout)["tasks"]
    return [t["containers"][0]["networkInterfaces"][0]["privateIpv4Address"] for t in described]


with Town() as town:
    town.up(ROOT / "examples/storefront")
    work = town.home + "/work/storefront"
    git(work, "tag", "v1")
    git(work, "push", "origin", "v1")
    town.bastide("approve")
    pids = tasks(town)
    stage, prod = addresses(town, "stage")[0], addresses(town, "prod")[0]
    at_stage, at_prod = pids[stage], pids[prod]

    # Names: an environment knows its own apps and nobody else's.
    assert inside(at_stage, ASK, "storefront.stage.internal", "10.10.0.2") == stage
    assert inside(at_stage, ASK, "storefront.prod.internal", "10.10.0.2") == "rcode 3"
    assert inside(at_prod, ASK, "storefront.prod.internal", "10.20.0.2") in addresses(town, "prod")

    # Connections: each task answers itself; nothing crosses, by whatever address it claims to come from.
    assert inside(at_stage, REACH, stage, 8080) == "reached"
    assert inside(at_stage, REACH, prod, 8080) == "blocked"
    assert inside(at_prod, REACH, stage, 8080) == "blocked"
    assert inside(at_stage, REACH, "10.20.0.2", 53) == "blocked"
    subprocess.run(["nsenter", "-t", at_stage, "-n", "ip", "address", "add", "10.0.0.77/32", "dev", "eth0"], check=True)
    assert inside(at_stage, REACH, prod, 8080, "10.0.0.77") == "blocked", "a forged address of the management VPC got through"

    # Two tasks of prod: the group says who may reach whom, and a change holds at once.
    other = next(a for a in addresses(town, "prod") if a != prod)
    assert inside(at_prod, REACH, other, 8080) == "blocked"
    ec2 = lambda *a: json.loads(town.bastide("aws", "--profile", "prod", "ec2", *a).stdout or "{}")
    service = json.loads(town.bastide("aws", "--profile", "prod", "ecs", "describe-services", "--cluster", "storefront", "--services", "storefront").stdout)["services"][0]
    group = service["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"][0]
    rule = ("--group-id", group, "--protocol", "tcp", "--port", "8080", "--cidr", prod + "/32")
    ec2("authorize-security-group-ingress", *rule)
    wait_for("the opened group", lambda: inside(at_prod, REACH, other, 8080) == "reached", 5)
    ec2("revoke-security-group-ingress", *rule)
    wait_for("the closed group", lambda: inside(at_prod, REACH, other, 8080) == "blocked", 10)
    assert town.get("storefront.prod.localhost")[0] == 200
print("ok")
