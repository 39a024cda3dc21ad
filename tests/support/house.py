"""Starts the real binary on free ports with a home of its own, and takes all of it away again."""
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = pathlib.Path(os.environ.get("BASTIDE_BINARY", ROOT / "build/release/src/bastide"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Credentials:
    def __init__(self, access_key, secret_key, token=None):
        self.access_key, self.secret_key, self.token = access_key, secret_key, token


def sign(credentials, method, url, headers, body, service, region, now=None):
    """SigV4 headers: https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html"""
    now = now or datetime.datetime.now(datetime.timezone.utc)
    stamp = now.strftime("%Y%m%dT%H%M%SZ")
    parts = urllib.parse.urlsplit(url)
    headers = {k.lower(): v for k, v in headers.items()}
    headers["host"] = parts.netloc
    headers["x-amz-date"] = stamp
    if service == "s3":
        headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = sorted(headers)
    canonical = "\n".join([
        method, parts.path or "/", "&".join(sorted(p if "=" in p else p + "=" for p in parts.query.split("&"))) if parts.query else "",
        *(f"{n}:{headers[n].strip()}" for n in names), "", ";".join(names), hashlib.sha256(body).hexdigest()])
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + credentials.secret_key).encode()
    for part in (stamp[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
                                f"SignedHeaders={';'.join(names)}, Signature={signature}")
    return headers


class House:
    """with House() as house: house.endpoint, house.operator(), house.bastide("status")"""

    def __init__(self, *arguments):
        self.home = tempfile.mkdtemp(prefix="bastide-test-")
        self.port, self.https_port, self.http_port = free_port(), free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.arguments = list(arguments)
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        self.log = open(os.path.join(self.home, "serve.log"), "ab")
        started = time.monotonic()
        self.process = subprocess.Popen(
            [str(BINARY), "serve", "--home", self.home, "--port", str(self.port), "--https-port", str(self.https_port),
             "--http-port", str(self.http_port), *self.arguments],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        while True:
            try:
                status, _, _ = self.http("GET", "/health")
                if status == 200:
                    self.started_in = time.monotonic() - started
                    return
            except OSError:
                pass
            if self.process.poll() is not None:
                raise RuntimeError(f"serve ended with {self.process.returncode}:\n{self.log_text()}")
            if time.monotonic() - started > 30:
                raise RuntimeError(f"no answer after 30 s:\n{self.log_text()}")
            time.sleep(0.01)

    def log_text(self):
        return pathlib.Path(self.home, "serve.log").read_text(errors="replace")[-8000:]

    def stop(self, how=signal.SIGUSR1):
        """SIGUSR1 ends containers and networks too."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(90)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def close(self):
        self.stop()
        if os.environ.get("BASTIDE_TEST_KEEP"):
            print(f"kept {self.home}", file=sys.stderr)
            return
        shutil.rmtree(self.home, ignore_errors=True)

    def role_pid(self, role):
        out = subprocess.run(["pgrep", "-P", str(self.process.pid), "-f", f"bastide {role} "], capture_output=True, text=True)
        return int(out.stdout.split()[0])

    def http(self, method, path, headers=None, body=b"", timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def operator(self):
        with open(os.path.join(self.home, "operator.json")) as f:
            v = json.load(f)
        return Credentials(v["AccessKeyId"], v["SecretAccessKey"], v.get("SessionToken"))

    def signed(self, credentials, service, method="POST", path="/", headers=None, body=b"", region="us-east-1", now=None):
        if isinstance(body, str):
            body = body.encode()
        signed = sign(credentials, method, self.endpoint + path, headers or {}, body, service, region, now)
        return self.http(method, path, signed, body)

    def json_call(self, credentials, service, target, arguments):
        """awsJson1.1; (status, answer)."""
        status, _, body = self.signed(credentials, service, headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": target},
                                      body=json.dumps(arguments))
        return status, json.loads(body or b"{}")

    def bastide(self, *arguments, input=None, check=True, timeout=300, env=None):
        done = subprocess.run([str(BINARY), *arguments[:1], "--home", self.home, *arguments[1:]] if " " not in arguments[0]
                              else [str(BINARY), *arguments[0].split(), "--home", self.home, *arguments[1:]],
                              input=input, capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})})
        if check and done.returncode != 0:
            raise AssertionError(f"bastide {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}\n{self.log_text()}")
        return done
