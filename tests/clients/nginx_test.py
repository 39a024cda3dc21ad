#!/usr/bin/env python3
"""Somebody else's program: Debian's nginx on an imported base image, pushed, built, served, promoted; and build steps
that run inside an image of the registry, with a network where the file asks for one."""
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

from support.house import ROOT
from support.town import Town, git, need_root

need_root()
NGINX = "/usr/sbin/nginx"
if not os.path.exists(NGINX):
    print("skipped: nginx is not installed (apt-get install nginx-light)")
    sys.exit(77)


def root_filesystem(path):
    """A root filesystem of this machine's own nginx and shell, as mmdebstrap would make a whole one."""
    with tarfile.open(path, "w") as out:
        def folder(name):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            out.addfile(info)

        def text(name, content):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            out.addfile(info, io.BytesIO(content.encode()))

        for name in ("etc", "etc/nginx", "var", "var/log", "var/log/nginx", "var/lib", "var/lib/nginx", "usr", "usr/sbin", "usr/bin", "tmp"):
            folder(name)
        info = tarfile.TarInfo("bin")
        info.type, info.linkname = tarfile.SYMTYPE, "usr/bin"
        out.addfile(info)
        text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
        text("etc/group", "root:x:0:\nnogroup:x:65534:\n")
        seen = set()
        for program in (NGINX, "/usr/bin/dash", "/usr/bin/cat"):
            linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
            for file in [program, *re.findall(r"(/\S+) \(0x", linked)]:
                if file not in seen:
                    seen.add(file)
                    out.add(os.path.realpath(file), arcname=file.lstrip("/"))
        out.add("/usr/bin/dash", arcname="usr/bin/sh")
        out.add("/etc/nginx/mime.types", arcname="etc/nginx/mime.types")


with Town() as town, tempfile.TemporaryDirectory() as beside:
    example = pathlib.Path(beside, "example")
    shutil.copytree(ROOT / "examples/hello-nginx", example)
    # Without its base image the first release says what to do; the accounts stand all the same.
    out = town.up(example, check=False)
    assert "bastide image import ROOTFS.tar debian-nginx:12" in out.stdout + out.stderr, out.stdout + out.stderr
    tar = os.path.join(beside, "rootfs.tar")
    root_filesystem(tar)
    done = town.bastide("image import", tar, "debian-nginx:12")
    assert "use it as FROM debian-nginx:12" in done.stdout, done.stdout
    town.up(example)
    status, body = town.get("hello.stage.localhost", "/")
    assert status == 200 and "Served by nginx" in body, (status, body)
    assert town.get("hello.stage.localhost", "/health") == (200, "ok\n")

    # Steps inside the image: they see its files and not the host's; a change of the workspace lands in the image.
    work = town.home + "/work/hello"
    file = pathlib.Path(example, "bastide.yaml")
    file.write_text(file.read_text().replace("    dockerfile: Dockerfile\n", "    dockerfile: Dockerfile\n    image: debian-nginx:12\n"
                                             "    network: true\n"
                                             "    build: cat /etc/group > www/group.txt && cat /proc/net/route /etc/resolv.conf > www/network.txt && ! test -e /usr/bin/git\n"))
    town.up(example)
    git(work, "commit", "-q", "--allow-empty", "-m", "built inside the image")
    pushed = git(work, "push")
    assert "remote: done in" in pushed.stderr, pushed.stderr
    assert town.get("hello.stage.localhost", "/group.txt") == (200, "root:x:0:\nnogroup:x:65534:\n")

    told = town.get("hello.stage.localhost", "/network.txt")[1]
    assert "tap0" in told and "nameserver 10.0.2.3" in told, told

    git(work, "tag", "v1")
    git(work, "push", "origin", "v1")
    town.bastide("approve")
    assert town.get("hello.prod.localhost", "/group.txt")[0] == 200
    # A release that cannot start: the push says why, with its own words; stage keeps what it runs.
    conf = pathlib.Path(work, "nginx.conf")
    good = conf.read_text()
    conf.write_text(good.replace("listen 8080;", "listen 8080; no_such_directive on;"))
    git(work, "commit", "-qam", "broken")
    pushed = git(work, "push", check=False)
    assert 'unknown directive "no_such_directive"' in pushed.stderr and "exit status 1" in pushed.stderr, pushed.stderr
    assert town.get("hello.stage.localhost", "/group.txt")[0] == 200

    lines = town.bastide("logs", "hello", "--env", "prod").stdout
    assert "ELB-HealthChecker" in lines, lines
    missing = town.bastide("image import", "/nonexistent.tar", "x:1", check=False)
    assert missing.returncode == 1 and "/nonexistent.tar" in missing.stderr, missing.stderr
print("ok")
