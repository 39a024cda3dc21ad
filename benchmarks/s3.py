#!/usr/bin/env python3
"""S3 beside moto_server, in one run: PUT and GET of 64 KiB per CPU-second of the server; a large object's way in and out."""
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
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from api import SECONDS, cpu_seconds, memory_mib  # noqa: E402
from support.house import Credentials, House, free_port, sign  # noqa: E402

SMALL, LARGE = 64 << 10, 256 << 20


def wrk(method, url, headers, body, pid):
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f"wrk.method='{method}'\n")
        if body:
            script.write(f"wrk.body=string.rep('x', {len(body)})\n")
        for name, value in headers.items():
            if name != "host":
                script.write(f"wrk.headers['{name}']='{value}'\n")
        script.flush()
        before = cpu_seconds(pid)
        out = subprocess.run(["wrk", "-t1", "-c8", f"-d{SECONDS}s", "-s", script.name, url], capture_output=True, text=True).stdout
        used = cpu_seconds(pid) - before
    done = int(next(line for line in out.splitlines() if "requests in" in line).split()[0])
    refused = next((int(line.split()[-1]) for line in out.splitlines() if "Non-2xx" in line), 0)
    if refused:
        print(f"{method} {url}: {refused} of {done} were refused and do not count", file=sys.stderr)
    done -= refused
    return done / SECONDS, done / max(used, 0.001)


def send(method, url, headers, body=None):
    with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=300) as answer:
        return answer.read()


def measure(endpoint, credentials, pid):
    def signed(method, path, body=b""):
        return sign(credentials, method, endpoint + path, {"Content-Type": "application/octet-stream"}, body, "s3", "us-east-1")
    send("PUT", endpoint + "/bench", signed("PUT", "/bench"), b"")
    small = b"x" * SMALL
    out = {"PUT 64 KiB": wrk("PUT", endpoint + "/bench/small", signed("PUT", "/bench/small", small), small, pid),
           "GET 64 KiB": wrk("GET", endpoint + "/bench/small", signed("GET", "/bench/small"), b"", pid)}
    large = os.urandom(1 << 20) * (LARGE >> 20)
    for method, body in (("PUT", large), ("GET", None)):
        headers = signed(method, "/bench/large", body or b"")
        started, before = time.monotonic(), cpu_seconds(pid)
        send(method, endpoint + "/bench/large", headers, body)
        out[f"{method} 256 MiB, MiB/s"] = ((LARGE >> 20) / (time.monotonic() - started), (LARGE >> 20) / max(cpu_seconds(pid) - before, 0.001))
    return out


def bastide():
    with House() as house:
        pid = house.role_pid("control")
        results = measure(house.endpoint, house.operator(), pid)
        results["memory after it, MiB"] = memory_mib(pid)
        return results


def moto():
    if not shutil.which("moto_server"):
        return None
    port = free_port()
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
        children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
        pid = int(children[0]) if children else process.pid
        results = measure(endpoint, Credentials("testing", "testing"), pid)
        results["memory after it, MiB"] = memory_mib(pid)
        return results
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def main():
    ours, peer = bastide(), moto()
    print(f"{'':32}{'bastide':>14}{'moto_server':>14}{'ratio':>9}")
    for name, value in ours.items():
        theirs = peer and peer.get(name)
        if not isinstance(value, tuple):
            print(f"{name:32}{value:>14.1f}{theirs or 0:>14.1f}")
            continue
        for what, i in ((" per CPU-s", 1), (" per s", 0)):
            ratio = f"{value[i] / theirs[i]:8.1f}x" if theirs else ""
            print(f"{name + what:32}{value[i]:>14,.0f}{theirs[i] if theirs else 0:>14,.0f}{ratio}")
    if peer is None:
        print("moto_server is not installed: no peer in this run")


if __name__ == "__main__":
    main()
