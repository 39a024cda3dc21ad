#!/usr/bin/env python3
"""The main job, as a team does it: up, push, stage, tag, approve, prod, rollback, with real containers; and kill -9."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

from support.house import ROOT
from support.town import Town, addresses, git, namespaces, need_root, wait_for

need_root()


def deliver_and_break(town, work, test, good, broken):
    """Promotion, rollback, kill -9, down and up again."""
    test.write_text(good)
    git(work, "commit", "-qam", "mended")
    pushed = git(work, "push")
    assert "remote: done in" in pushed.stderr, pushed.stderr
    second = git(work, "rev-parse", "HEAD").stdout.strip()
    assert town.about("stage")["commit"] == second
    lines = town.bastide("logs", "storefront", "--env", "stage", "--grep", second).stdout
    assert "started" in lines, lines

    # A commit that was never built is not promoted; the tested one is, by digest, once approved.
    git(work, "tag", "v0", broken)
    assert "has no release" in git(work, "push", "origin", "v0").stderr
    git(work, "tag", "v1")
    assert "waits for approval" in git(work, "push", "origin", "v1").stderr
    town.bastide("approve", "--reason", "looks good")
    assert town.about("prod")["commit"] == second
    digests = [json.loads(town.bastide("aws", "--profile", e, "ecs", "describe-services", "--cluster", "storefront", "--services", "storefront").stdout)
               ["services"][0]["taskDefinition"] for e in ("stage", "prod")]
    used = [json.loads(town.bastide("aws", "--profile", e, "ecs", "describe-task-definition", "--task-definition", d).stdout)
            ["taskDefinition"]["containerDefinitions"][0]["image"] for e, d in zip(("stage", "prod"), digests)]
    assert used[0] == used[1] and "@sha256:" in used[0], used

    # Another release, and back again with one command.
    git(work, "commit", "-q", "--allow-empty", "-m", "third")
    git(work, "push")
    git(work, "tag", "v2")
    git(work, "push", "origin", "v2")
    town.bastide("approve")
    third = git(work, "rev-parse", "HEAD").stdout.strip()
    assert town.about("prod")["commit"] == third
    town.bastide("rollback", "--env", "prod")
    assert town.about("prod")["commit"] == second

    # The registry speaks OCI.
    if shutil.which("skopeo"):
        login = json.loads(town.bastide("aws", "ecr", "get-authorization-token").stdout)["authorizationData"][0]["authorizationToken"]
        import base64
        user, _, secret = base64.b64decode(login).decode().partition(":")
        done = subprocess.run(["skopeo", "inspect", "--tls-verify=false", f"--creds={user}:{secret}", f"docker://127.0.0.1:{town.port}/storefront:{second}"],
                              capture_output=True, text=True)
        assert done.returncode == 0 and json.loads(done.stdout)["Digest"] in used[0], done.stderr

    # kill -9 of each role: traffic goes on while control is dead, containers are adopted, nothing is lost.
    task = town.bastide("aws", "--profile", "prod", "ecs", "list-tasks", "--cluster", "storefront").stdout
    control = town.role("control")
    os.kill(control, signal.SIGKILL)
    assert town.about("prod")["commit"] == second
    wait_for("a new control", lambda: town.role("control") not in (None, control))
    wait_for("the API", lambda: town.bastide("status", check=False).returncode == 0)
    for name in ("edge", "runner"):
        old = town.role(name)
        os.kill(old, signal.SIGKILL)
        wait_for(f"a new {name}", lambda: town.role(name) not in (None, old))
    wait_for("traffic", lambda: town.get("storefront.prod.localhost")[0] == 200)
    assert town.about("prod")["commit"] == second
    wait_for("the runner's status", lambda: "tier root" in town.bastide("status").stdout)
    assert town.bastide("aws", "--profile", "prod", "ecs", "list-tasks", "--cluster", "storefront").stdout == task, "tasks were not adopted"

    # A push that is not a repository; a second serve; then down, and everything returns.
    unknown = subprocess.run(["git", "-C", work, "push", f"http://127.0.0.1:{town.port}/git/storefrnt.git", "HEAD:main"], capture_output=True, text=True)
    assert unknown.returncode != 0 and "did you mean 'storefront'" in unknown.stderr, unknown.stderr
    other = town.bastide("serve", "--port", "1", check=False)
    assert other.returncode == 1 and "already runs" in other.stderr, other.stderr
    town.bastide("down")
    assert not subprocess.run(["pgrep", "-f", town.home], capture_output=True).stdout, "processes are left"
    town.up(ROOT / "examples/storefront")
    wait_for("prod after a restart", lambda: town.get("storefront.prod.localhost")[0] == 200)
    assert town.about("prod")["commit"] == second


before = (namespaces(), addresses())
with Town() as town:
    # Up: five accounts, stage serves the first release, prod says how to get one there.
    out = town.up(ROOT / "examples/storefront")
    assert "Ready in" in out and re.search(r"has the password \S+ \(told this once\)", out), out
    first = town.about("stage")
    assert first["environment"] == "stage" and first["secret"] == "decrypted" and len(first["commit"]) == 40, first
    status, body = town.get("storefront.prod.localhost")
    assert status == 503 and "promote" in body, (status, body)
    password = re.search(r"has the password (\S+) \(", out)[1]
    again = town.up(ROOT / "examples/storefront")
    assert "Nothing has changed." in again and password not in again, again

    # Who is who: a person of the security account assumes roles elsewhere and may do nothing else.
    who = json.loads(town.bastide("aws", "--profile", "stage", "sts", "get-caller-identity").stdout)
    assert who["Arn"].endswith(":assumed-role/bastide-admin/admin"), who
    denied = town.bastide("aws", "--profile", "admin", "kms", "create-key", check=False)
    assert denied.returncode != 0 and "AccessDenied" in denied.stderr, denied.stderr

    # Secrets: a round trip; stage's role cannot read what prod's key sealed.
    token = town.bastide("secrets encrypt", "--env", "prod", input="s3cret\n").stdout.strip()
    assert token.startswith("kmscrypt::")
    plain = town.bastide("secrets decrypt", "--env", "prod", input=f'{{"a": "{token}"}} rest').stdout
    assert plain == '{"a": "s3cret"} rest', plain
    refused = town.bastide("secrets decrypt", "--env", "stage", input=token, check=False)
    assert refused.returncode == 1 and "s3cret" not in refused.stdout + refused.stderr, refused
    leaks = subprocess.run(["grep", "-rl", "pk_test_51Hq-stage-demo", town.home + "/logs", town.home + "/audit", town.home + "/run",
                            town.home + "/work/storefront", town.home + "/metadata.sqlite", town.home + "/metadata.sqlite-wal"],
                           capture_output=True, text=True).stdout
    assert not leaks, leaks

    # A push that fails its tests makes no image; a good one reaches stage.
    work = town.home + "/work/storefront"
    test = pathlib.Path(work, "test/store_test.cc")
    good = test.read_text()
    test.write_text(good.replace('"/a"', '"/wrong"'))
    git(work, "commit", "-qam", "broken")
    pushed = git(work, "push")
    assert "remote: FAILED: test" in pushed.stderr, pushed.stderr
    broken = git(work, "rev-parse", "HEAD").stdout.strip()
    images = json.loads(town.bastide("aws", "ecr", "describe-images", "--repository-name", "storefront").stdout)["imageDetails"]
    assert all(broken not in i.get("imageTags", []) for i in images), images
    deliver_and_break(town, work, test, good, broken)
wait_for("the host's network as it was", lambda: (namespaces(), addresses()) == before, 20)
print("ok")
