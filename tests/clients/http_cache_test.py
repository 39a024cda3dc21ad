#!/usr/bin/env python3
"""npm's http-cache-tests against a distribution with the plain RFC 9111 policy. HTTP_CACHE_TESTS names the folder of the
package (npm i http-cache-tests@0.4.5); without it this is skipped, as nothing is fetched here."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from support.house import House, free_port

package = os.environ.get("HTTP_CACHE_TESTS")
if not package or not shutil.which("node"):
    print("skipped: HTTP_CACHE_TESTS does not name the folder of npm's http-cache-tests")
    sys.exit(77)
try:
    import boto3
    from support.viewer import wait
except ImportError:
    print("skipped: python3-boto3 is not installed")
    sys.exit(77)

RFC9111 = "b4571de0-9111-4000-8000-000000000001"
REQUIRED, OPTIMAL = 151, 78  # passed when this was written; what fails is explained in docs/COMPATIBILITY.md
SCORE = """
import fs from 'fs'
const suites = (await import(process.argv[2] + '/tests/index.mjs')).default
const results = JSON.parse(fs.readFileSync(process.argv[3]))
const out = {required: [], optimal: [], failed: []}
for (const suite of suites) for (const test of suite.tests) {
  const kind = test.kind || 'required'
  if (test.browser_only || !(kind in out) || results[test.id] === undefined) continue
  if (results[test.id] === true) out[kind].push(test.id); else out.failed.push(kind + ' ' + test.id)
}
console.log(JSON.stringify(out))
"""

os.environ["BASTIDE_PRIVATE_ORIGINS"] = "1"
port = free_port()
with tempfile.TemporaryDirectory() as folder, House() as house:
    origin = subprocess.Popen(["node", "server/server.mjs"], cwd=package, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env={**os.environ, "npm_config_protocol": "http", "npm_config_port": str(port), "npm_config_pidfile": f"{folder}/pid"})
    try:
        operator = house.operator()

        def client(service):
            return boto3.client(service, endpoint_url=house.endpoint, region_name="us-east-1", aws_access_key_id=operator.access_key,
                                aws_secret_access_key=operator.secret_key, aws_session_token=operator.token)

        cf = client("cloudfront")
        arn = client("acm").request_certificate(DomainName="127.0.0.1", ValidationMethod="DNS")["CertificateArn"]
        made = cf.create_distribution(DistributionConfig={
            "CallerReference": "t", "Comment": "", "Enabled": True, "Aliases": {"Quantity": 1, "Items": ["127.0.0.1"]},
            "ViewerCertificate": {"ACMCertificateArn": arn, "SSLSupportMethod": "sni-only", "MinimumProtocolVersion": "TLSv1.2_2021"},
            "Origins": {"Quantity": 1, "Items": [{"Id": "o", "DomainName": "127.0.0.1", "CustomOriginConfig": {
                "HTTPPort": port, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only"}}]},
            "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all", "CachePolicyId": RFC9111,
                                     "AllowedMethods": {"Quantity": 7, "Items": ["GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "DELETE"],
                                                        "CachedMethods": {"Quantity": 2, "Items": ["GET", "HEAD"]}}}})["Distribution"]
        wait("Deployed", lambda: cf.get_distribution(Id=made["Id"])["Distribution"]["Status"] == "Deployed")
        time.sleep(0.5)
        done = subprocess.run(["npm", "run", "--silent", "cli", f"--base=http://127.0.0.1:{house.http_port}"], cwd=package,
                              capture_output=True, text=True, timeout=500)
        results, script = f"{folder}/results.json", f"{folder}/score.mjs"
        with open(results, "w") as f:
            f.write(done.stdout)
        with open(script, "w") as f:
            f.write(SCORE)
        out = json.loads(subprocess.run(["node", script, package, results], capture_output=True, text=True, check=True).stdout)
    finally:
        origin.kill()
    print("\n".join(out["failed"]))
    print(f"required {len(out['required'])}, optimal {len(out['optimal'])}")
    assert len(out["required"]) >= REQUIRED and len(out["optimal"]) >= OPTIMAL
print("ok")
