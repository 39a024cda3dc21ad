"""What tests of the CDN share: a viewer of the edge, and waits."""
import http.client
import os
import socket
import ssl
import time

import botocore.exceptions

OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"  # Managed-CachingOptimized


class Viewer:
    def __init__(self, house):
        self.house = house
        ca = os.path.join(house.home, "tls", "ca.pem")
        self.tls = ssl.create_default_context(cafile=ca) if os.path.exists(ca) else None

    def get(self, host, path, headers=None, secure=False, method="GET"):
        port = self.house.https_port if secure else self.house.http_port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        if secure:
            raw = socket.create_connection(("127.0.0.1", port), 20)
            connection.sock = self.tls.wrap_socket(raw, server_hostname=host)
        try:
            connection.request(method, path, headers={"Host": host, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()


def wait(what, f, seconds=20):
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        if f():
            return time.monotonic() - begin
        time.sleep(0.02)
    raise SystemExit(f"{what} did not come within {seconds} s")


def refused(code, f):
    try:
        f()
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return
    raise SystemExit(f"{code} was expected")


def behavior(target, **more):
    return {"TargetOriginId": target, "ViewerProtocolPolicy": "allow-all", "CachePolicyId": OPTIMIZED, "Compress": True, **more}


def custom(port, **more):
    return {"Id": "o", "DomainName": "127.0.0.1", **more,
            "CustomOriginConfig": {"HTTPPort": port, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only"}}
