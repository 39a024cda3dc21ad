"""A house that `bastide up` starts itself, with its containers: what the end-to-end tests share."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

from support.house import BINARY, House


def need_root():
    """Skips the test where containers cannot run in the root tier."""
    if os.geteuid() != 0 or not shutil.which("crun"):
        print("skipped: containers need root and crun here")
        sys.exit(77)


class Town(House):
    """A house that `bastide up` starts itself."""

    def start(self):
        pass

    def up(self, folder, check=True):
        """What it printed; with check=False the whole outcome, whatever it is."""
        done = self.bastide("up", "--port", str(self.port), "--https-port", str(self.https_port), "--http-port", str(self.http_port), str(folder),
                            check=check)
        self.pid = json.loads(pathlib.Path(self.home, "run/serve.json").read_text())["pid"]
        return done.stdout if check else done

    def stop(self, how=None):
        subprocess.run([str(BINARY), "down", "--home", self.home], capture_output=True, timeout=120)

    def log_text(self):
        path = pathlib.Path(self.home, "run/serve.log")
        return path.read_text(errors="replace")[-6000:] if path.exists() else ""

    def role(self, name):
        out = subprocess.run(["pgrep", "-P", str(self.pid), "-f", f"bastide {name} "], capture_output=True, text=True).stdout.split()
        return int(out[0]) if out else None

    def get(self, host, path="/about"):
        done = subprocess.run(["curl", "-s", "-m", "5", "-w", "\n%{http_code}", "--cacert", f"{self.home}/tls/ca.pem", "--resolve",
                               f"{host}:{self.https_port}:127.0.0.1", f"https://{host}:{self.https_port}{path}"], capture_output=True, text=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def about(self, environment):
        status, body = self.get(f"storefront.{environment}.localhost")
        assert status == 200, (status, body, self.log_text())
        return json.loads(body)


def git(folder, *arguments, check=True):
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, timeout=300)
    assert not check or done.returncode == 0, done.stderr
    return done


def wait_for(what, f, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        got = f()
        if got:
            return got
        time.sleep(0.1)
    raise AssertionError(f"{what} did not come about in {seconds} s")


def namespaces():
    return set(subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout.split())


def addresses():
    return subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout.count("\n")
