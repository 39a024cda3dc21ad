#!/usr/bin/env python3
"""CloudFront and ACM through boto3, and the edge through plain HTTP(S): hits, misses, invalidations, aliases, signed URLs,
restarts."""
import base64
import http.client
import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from support.house import House

try:
    import boto3
    from support.viewer import OPTIMIZED, Viewer, behavior, custom, refused, wait
except ImportError:
    print("skipped: python3-boto3 is not installed")
    sys.exit(77)


class Origin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self):
        Origin.asked += 1
        body = f"{self.path} number {Origin.asked}\n".encode()
        self.send_response(404 if self.path.startswith("/none") else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


os.environ["BASTIDE_PRIVATE_ORIGINS"] = "1"
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_address[1]

with House() as house:
    operator = house.operator()

    def client(service):
        return boto3.client(service, endpoint_url=house.endpoint, region_name="us-east-1", aws_access_key_id=operator.access_key,
                            aws_secret_access_key=operator.secret_key, aws_session_token=operator.token)

    cf, acm = client("cloudfront"), client("acm")
    edge = Viewer(house)

    # A distribution is deployed within a second, and caches.
    config = {"CallerReference": "one", "Comment": "", "Enabled": True, "Origins": {"Quantity": 1, "Items": [custom(port)]},
              "DefaultCacheBehavior": behavior("o")}
    made = cf.create_distribution(DistributionConfig=config)
    d, etag = made["Distribution"], made["ETag"]
    taken = wait("Deployed", lambda: cf.get_distribution(Id=d["Id"])["Distribution"]["Status"] == "Deployed")
    assert taken < 5, taken
    host = d["DomainName"]
    assert host.startswith("d") and host.endswith(".cloudfront.net"), host
    status, headers, first = edge.get(host, "/a.txt")
    assert status == 200 and headers["x-cache"] == "Miss from cloudfront", (status, headers)
    status, headers, again = edge.get(host, "/a.txt?x=1")
    assert again == first and headers["x-cache"] == "Hit from cloudfront" and "age" in headers, headers
    refused("DistributionAlreadyExists", lambda: cf.create_distribution(DistributionConfig=config))
    refused("PreconditionFailed", lambda: cf.update_distribution(Id=d["Id"], IfMatch="E1", DistributionConfig=config))
    refused("NoSuchDistribution", lambda: cf.get_distribution(Id="E0000000000000"))
    assert any(p["CachePolicy"]["Id"] == OPTIMIZED for p in cf.list_cache_policies(Type="managed")["CachePolicyList"]["Items"])
    print("distribution: deployed in %.2f s" % taken)

    # An invalidation is effective in under a second.
    begin = time.monotonic()
    i = cf.create_invalidation(DistributionId=d["Id"], InvalidationBatch={
        "CallerReference": "i1", "Paths": {"Quantity": 1, "Items": ["/a*"]}})["Invalidation"]
    wait("Completed", lambda: cf.get_invalidation(DistributionId=d["Id"], Id=i["Id"])["Invalidation"]["Status"] == "Completed")
    taken = time.monotonic() - begin
    status, headers, body = edge.get(host, "/a.txt")
    assert headers["x-cache"] == "Miss from cloudfront" and body != first, headers
    assert cf.list_invalidations(DistributionId=d["Id"])["InvalidationList"]["Quantity"] == 1
    print("invalidation: %.2f s" % taken)

    # A viewer that is refused learns by whom.
    status, headers, _ = edge.get(host, "/a.txt", method="DELETE")
    assert status == 403 and headers["x-bastide-layer"].startswith("edge;"), headers
    status, headers, _ = edge.get(host, "/none")
    assert status == 404 and headers["x-bastide-layer"].startswith("origin;"), headers

    # An alias needs a certificate, which the local CA issues at once.
    with_alias = {**config, "Aliases": {"Quantity": 1, "Items": ["cdn.test"]}}
    refused("InvalidViewerCertificate", lambda: cf.update_distribution(Id=d["Id"], IfMatch=etag, DistributionConfig=with_alias))
    arn = acm.request_certificate(DomainName="cdn.test", ValidationMethod="DNS")["CertificateArn"]
    assert acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"] == "ISSUED"
    with_alias["ViewerCertificate"] = {"ACMCertificateArn": arn, "SSLSupportMethod": "sni-only", "MinimumProtocolVersion": "TLSv1.2_2021"}
    with_alias["DefaultCacheBehavior"] = behavior("o", ViewerProtocolPolicy="redirect-to-https")
    etag = cf.update_distribution(Id=d["Id"], IfMatch=etag, DistributionConfig=with_alias)["ETag"]
    wait("Deployed", lambda: cf.get_distribution(Id=d["Id"])["Distribution"]["Status"] == "Deployed")
    edge = Viewer(house)
    status, headers, _ = edge.get("cdn.test", "/a.txt", secure=True)
    assert status == 200 and headers["x-cache"] == "Hit from cloudfront", headers
    status, headers, _ = edge.get("cdn.test", "/a.txt")
    assert status == 301 and headers["location"] == f"https://cdn.test:{house.https_port}/a.txt", headers
    refused("ResourceInUseException", lambda: acm.delete_certificate(CertificateArn=arn))
    print("alias: over TLS")

    # kill -9 of the edge: it comes back with its configuration and its cache.
    asked = Origin.asked
    time.sleep(0.5)
    os.kill(house.role_pid("edge"), signal.SIGKILL)

    def back():
        try:
            return edge.get("cdn.test", "/a.txt", secure=True)
        except (OSError, http.client.HTTPException):
            return None

    wait("the edge", lambda: back() is not None)
    status, headers, _ = back()
    assert status == 200 and Origin.asked == asked and headers["x-cache"] == "Hit from cloudfront", headers
    print("kill -9: the cache is still there")

    # Signed URLs with a key group.
    if shutil.which("openssl"):
        with tempfile.TemporaryDirectory() as t:
            subprocess.run(["openssl", "genrsa", "-out", f"{t}/k.pem", "2048"], check=True, capture_output=True)
            pem = subprocess.run(["openssl", "rsa", "-in", f"{t}/k.pem", "-pubout"], check=True, capture_output=True, text=True).stdout
            key = cf.create_public_key(PublicKeyConfig={"CallerReference": "k", "Name": "k", "EncodedKey": pem})["PublicKey"]["Id"]
            group = cf.create_key_group(KeyGroupConfig={"Name": "g", "Items": [key]})["KeyGroup"]["Id"]
            closed = {**with_alias, "CacheBehaviors": {"Quantity": 1, "Items": [behavior(
                "o", PathPattern="/private/*", TrustedKeyGroups={"Enabled": True, "Quantity": 1, "Items": [group]})]}}
            etag = cf.update_distribution(Id=d["Id"], IfMatch=etag, DistributionConfig=closed)["ETag"]
            wait("Deployed", lambda: cf.get_distribution(Id=d["Id"])["Distribution"]["Status"] == "Deployed")
            assert edge.get("cdn.test", "/private/x", secure=True)[0] == 403
            until = int(time.time()) + 60
            policy = json.dumps({"Statement": [{"Resource": "https://cdn.test/private/x", "Condition": {
                "DateLessThan": {"AWS:EpochTime": until}}}]}, separators=(",", ":"))
            signature = subprocess.run(["openssl", "dgst", "-sha1", "-sign", f"{t}/k.pem"], input=policy.encode(), check=True,
                                       capture_output=True).stdout
            text = base64.b64encode(signature).decode().replace("+", "-").replace("=", "_").replace("/", "~")
            good = f"/private/x?Expires={until}&Signature={text}&Key-Pair-Id={key}"
            assert edge.get("cdn.test", good, secure=True)[0] == 200
            assert edge.get("cdn.test", good.replace("/x?", "/y?"), secure=True)[0] == 403
            refused("ResourceInUse", lambda: cf.delete_key_group(Id=group, IfMatch=cf.get_key_group(Id=group)["ETag"]))
        print("signed URLs: only the URL that was signed")

    stats = json.loads(house.bastide("cdn stats", "--json").stdout)
    assert stats["distributions"][0]["requests"] > 0, stats
    told = house.bastide("cdn explain", "https://cdn.test/a.txt").stdout
    assert told.startswith("a hit"), told
    print("ok")
