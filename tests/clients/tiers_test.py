#!/usr/bin/env python3
"""`bastide up` in each tier that this host has: a commit reaches stage, roles are killed, nothing is left after down.

    tiers_test.py [TIER ...]     those alone
"""
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from support.house import BINARY, ROOT, free_port

SOMEBODY = 61234  # nobody's uid: an ordinary user


class Skip(Exception):
    pass


class Town:
    def __init__(self, tier, prefix=(), uid=0):
        self.tier, self.prefix = tier, list(prefix)
        self.folder = tempfile.mkdtemp(prefix="bastide-tier-")
        self.home = os.path.join(self.folder, "home")
        self.port, self.https_port, self.http_port = free_port(), free_port(), free_port()
        if uid:
            os.chown(self.folder, uid, uid)
        else:
            os.chmod(self.folder, 0o755)
        self.env = {**os.environ, "HOME": self.folder, "GIT_CONFIG_NOSYSTEM": "1"}

    def run(self, *words, check=True, **more):
        done = subprocess.run([*self.prefix, *words], capture_output=True, text=True, timeout=300, env=self.env, **more)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}\n{self.log()}")
        return done

    def bastide(self, command, *words, check=True):
        return self.run(str(BINARY), command, "--home", self.home, *words, check=check)

    def log(self):
        path = pathlib.Path(self.home, "run/serve.log")
        return path.read_text(errors="replace")[-6000:] if path.exists() else ""

    def up(self):
        return self.bastide("up", "--tier", self.tier, "--port", str(self.port), "--https-port", str(self.https_port),
                            "--http-port", str(self.http_port), str(ROOT / "examples/storefront"))

    def about(self, environment="stage", within=30):
        host = f"storefront.{environment}.localhost"
        until = time.monotonic() + within
        while True:
            done = subprocess.run(["curl", "-s", "-m", "5", "--cacert", f"{self.home}/tls/ca.pem", "--resolve",
                                   f"{host}:{self.https_port}:127.0.0.1", f"https://{host}:{self.https_port}/about"],
                                  capture_output=True, text=True)
            try:
                return json.loads(done.stdout)
            except ValueError:
                if time.monotonic() > until:
                    raise AssertionError(f"no answer of the app: {done.stdout} {done.stderr}\n{self.log()}")
                time.sleep(0.2)

    def status(self):
        return json.loads(self.bastide("status", "--json").stdout)

    def role(self, name):
        serve = json.loads(pathlib.Path(self.home, "run/serve.json").read_text())["pid"]
        return int(subprocess.run(["pgrep", "-P", str(serve), "-f", f"bastide {name} "], capture_output=True, text=True).stdout.split()[0])

    def close(self):
        self.bastide("down", check=False)
        if os.environ.get("BASTIDE_TEST_KEEP"):
            print(f"kept {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def left_of(town):
    mine = []
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != os.getpid():
            try:
                line = pathlib.Path("/proc", pid, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if town.home in line:
                mine.append(f"{pid} {line}")
    return mine


def delivered(town, expected):
    """What a user relies on in every tier; `expected`: what status must say of guarantees."""
    out = town.up().stdout
    assert "deploy stage: ok" in out, out
    assert town.about()["secret"] == "decrypted"
    status = town.status()
    assert status["tier"] == town.tier, status
    notes = "\n".join(status["tierNotes"])
    for line in expected:
        assert line in notes, (line, notes)

    # A commit goes to stage.
    work = os.path.join(town.home, "work/storefront")
    css = pathlib.Path(work, "static/style.css")
    css.write_text(css.read_text() + "/* changed */\n")
    town.run("git", "-C", work, "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qam", "a change")
    pushed = town.run("git", "-C", work, "push")
    assert "remote: done in" in pushed.stderr, pushed.stderr
    commit = town.run("git", "-C", work, "rev-parse", "HEAD").stdout.strip()
    assert town.about()["commit"] == commit
    assert commit in town.bastide("logs", "storefront", "--env", "stage", "--grep", commit).stdout

    # Every role may be killed; the app goes on and is found again.
    for role in ("runner", "edge", "control"):
        os.kill(town.role(role), signal.SIGKILL)
        time.sleep(0.5)
        assert town.about()["commit"] == commit
    until = time.monotonic() + 30
    while True:
        done = town.bastide("status", "--json", check=False)
        if done.returncode == 0:
            stage = next(e for e in json.loads(done.stdout)["environments"] if e["name"] == "stage")
            if "HEALTHY" in json.dumps(stage):
                break
        assert time.monotonic() < until, done.stdout + done.stderr + town.log()
        time.sleep(0.3)

    # Down, up again: the release is there, without a new build.
    town.bastide("down")
    assert not left_of(town), left_of(town)
    town.up()
    assert town.about()["commit"] == commit
    town.bastide("down")
    assert not left_of(town), left_of(town)


def userns():
    prefix, uid = [], os.geteuid()
    if uid == 0:
        uid = SOMEBODY
        prefix = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    if subprocess.run([*prefix, "unshare", "-Urmn", "true"], capture_output=True).returncode:
        raise Skip("ordinary users may not make user namespaces here")
    if not shutil.which("crun"):
        raise Skip("crun is not installed")
    return Town("userns", prefix, uid), ["enforced:     files", "enforced:     network", "enforced:     memory of a process",
                                         "NOT enforced: memory of a task", "NOT enforced: cpu"]


def root():
    if os.geteuid() != 0:
        raise Skip("needs root")
    if not shutil.which("crun"):
        raise Skip("crun is not installed")
    if subprocess.run(["unshare", "-mn", "true"], capture_output=True).returncode:
        raise Skip("root may not make namespaces here")
    return Town("root"), [f"enforced:     {g}" for g in ("identity", "files", "network", "memory (cgroups", "cpu (cgroups", "processes", "roles")]


def chroot():
    if os.geteuid() != 0:
        raise Skip("needs root")
    if not shutil.which("setpriv"):
        raise Skip("setpriv is not installed")
    # As in a container that holds no CAP_SYS_ADMIN.
    town = Town("chroot", ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"])
    return town, ["enforced:     identity", "enforced:     files (chroot", "enforced:     network (", "NOT enforced: network from the host",
                  "enforced:     memory of a process", "NOT enforced: memory of a task", "NOT enforced: cpu", "enforced:     processes", "enforced:     roles"]


def roles_apart(town):
    """Control and edge are users of their own, and edge reads none of control's files; a home of root's opens too."""
    town.up()
    before = town.about()  # edge has entered the targets' network and become another user
    users = {r: os.stat(f"/proc/{town.role(r)}").st_uid for r in ("runner", "control", "edge")}
    assert users["runner"] == 0 and 0 not in (users["control"], users["edge"]) and users["control"] != users["edge"], users
    as_edge = ["setpriv", "--reuid", str(users["edge"]), "--regid", str(users["edge"]), "--clear-groups"]
    assert subprocess.run([*as_edge, "cat", f"{town.home}/edge/snapshot.json"], capture_output=True).returncode == 0
    for secret in ("metadata.sqlite", "master.key", "operator.json", "runner/accounts.json", "aws/profiles.json"):
        assert os.path.exists(f"{town.home}/{secret}"), secret
        assert subprocess.run([*as_edge, "cat", f"{town.home}/{secret}"], capture_output=True).returncode != 0, secret
    as_somebody = ["setpriv", "--reuid", str(SOMEBODY), "--regid", str(SOMEBODY), "--clear-groups"]
    assert subprocess.run([*as_somebody, "ls", town.home], capture_output=True).returncode != 0
    town.bastide("down")
    subprocess.run(["chown", "-R", "0:0", town.home], check=True)
    os.chmod(town.home, 0o700)
    town.up()
    assert town.about() == before

    # Whoever comes second is told who was first, and a port that is taken leaves nothing behind.
    second = town.bastide("serve", "--port", str(free_port()), check=False)
    assert second.returncode != 0 and "already runs on" in second.stderr and "(process " in second.stderr, second.stderr
    with tempfile.TemporaryDirectory() as other:
        taken = town.run(str(BINARY), "up", "--home", other, "--port", str(town.port), str(ROOT / "examples/storefront"), check=False)
        assert taken.returncode != 0 and f"127.0.0.1:{town.port}" in taken.stderr and "--port" in taken.stderr, taken.stderr
        assert subprocess.run(["pgrep", "-f", other], capture_output=True).returncode != 0
    town.bastide("down")
    assert not left_of(town), left_of(town)


TIERS = {"root": root, "userns": userns, "chroot": chroot}


def main():
    ran = 0
    for name in sys.argv[1:] or TIERS:
        try:
            town, expected = TIERS[name]()
        except Skip as why:
            print(f"{name}: skipped: {why}", flush=True)
            continue
        try:
            started = time.monotonic()
            delivered(town, expected)
            if name == "root":
                roles_apart(town)
            print(f"{name}: ok in {time.monotonic() - started:.1f} s", flush=True)
            ran += 1
        finally:
            town.close()
    sys.exit(0 if ran else 77)


main()
