#!/usr/bin/env python3
"""Nothing fails while things change: traffic at a fixed rate over deploys, rollbacks, failed deploys, a killed task and
a control that dies, without one failed request. ./test --all has the long run of it."""
import http.client
import json
import os
import signal
import ssl
import subprocess
import threading
import time

from support.house import ROOT
from support.town import Town, git, need_root, wait_for

need_root()
LONG = os.environ.get("BASTIDE_TEST_LONG") == "1"
DEPLOYS, ROLLBACKS, FAILURES = (20, 5, 3) if LONG else (3, 1, 1)


class Load:
    """Two clients that keep their connection and one that opens a new one each time, each 50 requests a second."""

    def __init__(self, town, host):
        self.town, self.host = town, host
        self.failures, self.times, self.over = [], [], False
        self.context = ssl.create_default_context(cafile=f"{town.home}/tls/ca.pem")
        self.threads = [threading.Thread(target=self.run, args=(kept,), daemon=True) for kept in (True, True, False)]

    def connection(self):
        plain = http.client.HTTPSConnection("127.0.0.1", self.town.https_port, timeout=10, context=self.context)
        plain.connect = lambda: self.connect(plain)
        return plain

    def connect(self, connection):
        raw = connection._create_connection(("127.0.0.1", self.town.https_port), 10)
        connection.sock = self.context.wrap_socket(raw, server_hostname=self.host)

    def run(self, kept):
        connection = None
        while not self.over:
            begun = time.monotonic()
            try:
                connection = connection or self.connection()
                connection.request("GET", "/about", headers={"Host": f"{self.host}:{self.town.https_port}"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failures.append((time.strftime("%T"), answer.status, dict(answer.headers)))
                # An answer may end its connection: the next request opens another, as any client does.
                if not kept or answer.will_close:
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException) as e:
                self.failures.append((time.strftime("%T"), repr(e)))
                connection = None
            self.times.append(time.monotonic() - begun)
            time.sleep(max(0.0, 0.02 - (time.monotonic() - begun)))

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over = True
        for t in self.threads:
            t.join(20)

    def report(self):
        ordered = sorted(self.times)
        return f"{len(ordered)} requests, {len(self.failures)} failed, p50 {ordered[len(ordered) // 2] * 1000:.1f} ms, p99 {ordered[int(len(ordered) * 0.99)] * 1000:.1f} ms"


def ecs(town, *arguments):
    return json.loads(town.bastide("aws", "--profile", "prod", "ecs", *arguments).stdout)


def service(town):
    return ecs(town, "describe-services", "--cluster", "storefront", "--services", "storefront")["services"][0]


def settled(town):
    found = service(town)
    if len(found["deployments"]) != 1:
        return None
    return found if found["deployments"][0]["rolloutState"] in ("COMPLETED", "FAILED") and found["runningCount"] == found["desiredCount"] else None


def deploy(town, definition=None):
    chosen = ["--task-definition", definition] if definition else []
    ecs(town, "update-service", "--cluster", "storefront", "--service", "storefront", "--force-new-deployment", *chosen)
    found = wait_for("a settled service", lambda: settled(town), 120)
    said = [e["message"] for e in found["events"][:6]]
    return found, said


with Town() as town:
    town.up(ROOT / "examples/storefront")
    work = town.home + "/work/storefront"
    for n in (1, 2):
        git(work, "commit", "-q", "--allow-empty", "-m", f"release {n}")
        git(work, "push")
        git(work, "tag", f"v{n}")
        git(work, "push", "origin", f"v{n}")
        town.bastide("approve")
    good = service(town)["taskDefinition"]
    definition = ecs(town, "describe-task-definition", "--task-definition", good)["taskDefinition"]
    with Load(town, "storefront.prod.localhost") as load:
        for n in range(DEPLOYS):
            found, said = deploy(town, good)
            assert found["deployments"][0]["rolloutState"] == "COMPLETED", said
            print(f"deploy {n + 1}: {load.report()}", flush=True)
        for n in range(ROLLBACKS):
            town.bastide("rollback", "--env", "prod")
            print(f"rollback {n + 1}: {load.report()}", flush=True)

        # A release whose program ends at once: the circuit breaker takes it back.
        keep = ("family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "requiresCompatibilities", "cpu", "memory")
        bad = {k: definition[k] for k in keep if k in definition}
        bad["containerDefinitions"][0]["command"] = ["/storefront", "--no-such-flag"]
        bad["containerDefinitions"][0]["entryPoint"] = ["/no-such-program"]
        broken = ecs(town, "register-task-definition", "--cli-input-json", json.dumps(bad))["taskDefinition"]["taskDefinitionArn"]
        now = service(town)["taskDefinition"]
        for n in range(FAILURES):
            found, said = deploy(town, broken)
            assert found["taskDefinition"] == now, (found["taskDefinition"], said)
            print(f"failed deploy {n + 1}: {load.report()}", flush=True)

        # A control that dies while traffic flows; its successor deploys again.
        old = town.role("control")
        os.kill(old, signal.SIGKILL)
        wait_for("a new control", lambda: town.role("control") not in (None, old))
        wait_for("the API", lambda: town.bastide("status", check=False).returncode == 0)
        old = town.role("runner")
        os.kill(old, signal.SIGKILL)
        wait_for("a new runner", lambda: town.role("runner") not in (None, old))
        found, said = deploy(town)
        assert found["deployments"][0]["rolloutState"] == "COMPLETED", said

        # A task that is stopped is replaced; its connections drain first.
        task = ecs(town, "list-tasks", "--cluster", "storefront")["taskArns"][0]
        ecs(town, "stop-task", "--cluster", "storefront", "--task", task)
        wait_for("another task", lambda: task not in ecs(town, "list-tasks", "--cluster", "storefront")["taskArns"] and settled(town))
        time.sleep(1)
    print(load.report())
    assert not load.failures, load.failures[:10]
    assert len(load.times) > 500, load.report()
print("ok")
