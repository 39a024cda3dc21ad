#!/usr/bin/env python3
"""The storefront's static files: up publishes them behind the CDN, a push changes what changed, the bucket stays closed."""
import json
import pathlib
import subprocess

from support.house import ROOT
from support.town import Town, git, need_root, wait_for

need_root()


def headers_of(town, host, path, *more):
    """Status and fields of an answer of the edge."""
    done = subprocess.run(["curl", "-s", "-m", "10", "-D", "-", "-o", "/dev/null", "--cacert", f"{town.home}/tls/ca.pem", "--resolve",
                           f"{host}:{town.https_port}:127.0.0.1", *more, f"https://{host}:{town.https_port}{path}"], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    return int(lines[0].split(" ")[1]) if lines[0] else 0, fields


with Town() as town:
    out = town.up(ROOT / "examples/storefront")
    host = "static.storefront.stage.localhost"
    assert f"https://{host}:{town.https_port}" in out, out
    status, css = town.get(host, "/style.css")
    assert status == 200 and css == (ROOT / "examples/storefront/static/style.css").read_text(), (status, css)
    status, fields = headers_of(town, host, "/style.css")
    assert status == 200 and fields["x-cache"] == "hit from cloudfront" and "max-age=60" in fields["cache-control"], fields
    assert fields["x-content-type-options"] == "nosniff", fields

    # The name with the content's hash is fresh for ever.
    manifest = json.loads(town.get(host, "/.bastide/manifest.json")[1])
    hashed = manifest["files"]["style.css"]["name"]
    status, fields = headers_of(town, host, "/" + hashed)
    assert status == 200 and "immutable" in fields["cache-control"], fields
    status, fields = headers_of(town, host, "/none.css")
    assert status == 404 and fields["x-bastide-layer"].startswith("origin;"), (status, fields)

    # Nobody else reads the bucket.
    stacks = json.loads(town.bastide("aws", "--profile", "stage", "cloudformation", "describe-stacks", "--stack-name",
                                     "bastide-static-storefront").stdout)["Stacks"]
    bucket = next(o["OutputValue"] for o in stacks[0]["Outputs"] if o["OutputKey"] == "BucketName")
    assert town.http("GET", f"/{bucket}/style.css")[0] == 403

    # A push publishes what changed, and the plain name shows it at once; the old hashed name stays.
    work = town.home + "/work/storefront"
    style = pathlib.Path(work, "static/style.css")
    style.write_text(style.read_text() + "\n.new { color: red }\n")
    git(work, "commit", "-qam", "red")
    pushed = git(work, "push")
    assert "publish stage" in pushed.stderr and "1 changed" in pushed.stderr, pushed.stderr
    wait_for("the new style", lambda: ".new" in town.get(host, "/style.css")[1], 5)
    assert town.get(host, "/" + hashed)[1] == css

    # By hand.
    told = town.bastide("cdn publish", "storefront", "--env", "stage", "--from", str(ROOT / "examples/storefront/static")).stdout
    assert "1 changed" in told, told
    wait_for("the old style", lambda: town.get(host, "/style.css")[1] == css, 5)
    assert "completed" in town.bastide("cdn invalidate", "storefront", "--env", "stage", "/*").stdout
    assert town.bastide("cdn explain", f"https://{host}/style.css").stdout.startswith("a "), "no verdict"
print("ok")
