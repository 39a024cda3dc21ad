#!/usr/bin/env python3
"""The API beside moto_server, in one run: requests per CPU-second of the server, start to first answer, idle memory."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from support.house import Credentials, House, free_port, sign  # noqa: E402

SECONDS = 4
TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_mib(pid):
    """Proportional set size: shared pages count once over all processes."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0


def load(url, headers, body, pid):
    """Drives one signed request over and over; (requests per second, requests per CPU-second)."""
    def quote(s):
        return '"' + s.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f"wrk.method='POST'\nwrk.body={quote(body.decode())}\n")
        for name, value in headers.items():
            if name != "host":
                script.write(f"wrk.headers[{quote(name)}]={quote(value)}\n")
        script.flush()
        before = cpu_seconds(pid)
        out = subprocess.run(["wrk", "-t1", "-c8", f"-d{SECONDS}s", "-s", script.name, url], capture_output=True, text=True).stdout
        used = cpu_seconds(pid) - before
    if "Non-2xx" in out:
        raise SystemExit(f"the server refused: {out}")
    done = int(next(line for line in out.splitlines() if "requests in" in line).split()[0])
    return done / SECONDS, done / max(used, 0.001)


def requests_for(endpoint, credentials, key):
    form = b"Action=GetCallerIdentity&Version=2011-06-15"
    encrypt = f'{{"KeyId":"{key}","Plaintext":"czNjcmV0"}}'.encode()
    sts = {"Content-Type": "application/x-www-form-urlencoded"}
    kms = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.Encrypt"}
    return {"sts GetCallerIdentity": (sign(credentials, "POST", endpoint + "/", sts, form, "sts", "us-east-1"), form),
            "kms Encrypt": (sign(credentials, "POST", endpoint + "/", kms, encrypt, "kms", "us-east-1"), encrypt)}


def bastide():
    results = {}
    with House() as house:
        results["start to first answer"] = house.started_in * 1000
        time.sleep(2)
        pids = [house.process.pid, *(house.role_pid(r) for r in ("control", "edge", "runner"))]
        results["idle memory"] = sum(memory_mib(p) for p in pids)
        operator = house.operator()
        status, answer = house.json_call(operator, "kms", "TrentService.CreateKey", {})
        assert status == 200, answer
        for name, (headers, body) in requests_for(house.endpoint, operator, answer["KeyMetadata"]["KeyId"]).items():
            results[name] = load(house.endpoint + "/", headers, body, house.role_pid("control"))
    return results


def moto():
    if not shutil.which("moto_server"):
        return None
    port = free_port()
    started = time.monotonic()
    process = subprocess.Popen(["moto_server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(endpoint + "/moto-api/data.json", timeout=1).read()
                break
            except OSError:
                time.sleep(0.02)
        results = {"start to first answer": (time.monotonic() - started) * 1000}
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        pid = int(children[0]) if children else process.pid
        results["idle memory"] = memory_mib(pid)
        credentials = Credentials("testing", "testing")
        headers = sign(credentials, "POST", endpoint + "/",
                       {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.CreateKey"}, b"{}", "kms", "us-east-1")
        key = json.load(urllib.request.urlopen(urllib.request.Request(endpoint + "/", b"{}", headers)))["KeyMetadata"]["KeyId"]
        for name, (signed, body) in requests_for(endpoint, credentials, key).items():
            results[name] = load(endpoint + "/", signed, body, pid)
        return results
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def main():
    ours, peer = bastide(), moto()
    print(f"{'':32}{'bastide':>14}{'moto_server':>14}{'ratio':>9}")
    for name, value in ours.items():
        theirs = peer and peer.get(name)
        if isinstance(value, tuple):
            for what, i in ((", /CPU-s", 1), (", /s", 0)):
                ratio = f"{value[i] / theirs[i]:8.0f}x" if theirs else ""
                print(f"{name + what:32}{value[i]:>14,.0f}{theirs[i] if theirs else 0:>14,.0f}{ratio}")
        else:
            unit = "MiB" if "memory" in name else "ms"
            print(f"{name + ', ' + unit:32}{value:>14.1f}{theirs or 0:>14.1f}")
    if peer is None:
        print("moto_server is not installed: no peer in this run")


if __name__ == "__main__":
    main()
