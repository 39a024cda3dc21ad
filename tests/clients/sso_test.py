#!/usr/bin/env python3
"""Single sign-on against a real OpenID provider (npm's oidc-provider): browser with PKCE on loopback, and device code.

BASTIDE_OIDC_PROVIDER names the package's folder: npm install oidc-provider, then .../node_modules/oidc-provider."""
import html
import http.cookiejar
import json
import os
import pathlib
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

from support.house import BINARY, House
from support.issuer import make_certificate, trust
from support.people import Town

package = os.environ.get("BASTIDE_OIDC_PROVIDER", str(pathlib.Path(__file__).parent / "oidc/node_modules/oidc-provider"))
if not shutil.which("node") or not os.path.isdir(package):
    print("skipped: node or the package oidc-provider is not here; BASTIDE_OIDC_PROVIDER names its folder")
    sys.exit(77)


class Browser:
    """Follows the provider's pages as a person would: every form is filled in and sent."""

    def __init__(self, ca, login):
        self.login = login
        context = ssl.create_default_context(cafile=ca)
        self.opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def walk(self, url, **more):
        answer = self.opener.open(url, timeout=30)
        for _ in range(10):
            page, at = answer.read().decode(), answer.geturl()
            form = re.search(r"<form[^>]*>.*?</form>", page, re.S)
            if not form:
                return page
            action = re.search(r'action="([^"]*)"', form[0])
            fields = {}
            for field in re.findall(r"<input[^>]*>", form[0]):
                name, value = re.search(r'name="([^"]*)"', field), re.search(r'value="([^"]*)"', field)
                if name:
                    fields[name[1]] = html.unescape(value[1]) if value else ""
            fields.update({k: v for k, v in {"login": self.login, "password": "x", **more}.items() if k in fields})
            target = urllib.parse.urljoin(at, html.unescape(action[1]) if action else at)
            answer = self.opener.open(target, urllib.parse.urlencode(fields).encode(), timeout=30)
        raise AssertionError("the provider's pages have no end: " + page[:500])


def main(house, folder):
    ca, chain, key = make_certificate(folder)
    provider = subprocess.Popen(["node", str(pathlib.Path(__file__).parent / "oidc/provider.mjs"), package, chain, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=open(f"{folder}/provider.log", "wb"), text=True)
    try:
        issuer = provider.stdout.readline().strip()
        assert issuer.startswith("https://"), pathlib.Path(folder, "provider.log").read_text()
        town = Town(house)
        town.person("alice", "Correct-horse-7-battery", f"arn:aws:iam::{town.stage}:role/bastide-developer")
        town.person("bob", "Correct-horse-7-battery")
        town.iam("security", "TagUser", UserName="alice", **{"Tags.member.1.Key": "bastide:email", "Tags.member.1.Value": "Alice@example.com"})
        town.iam("security", "TagUser", UserName="bob", **{"Tags.member.1.Key": "bastide:email", "Tags.member.1.Value": "unverified@example.com"})
        town.iam("security", "CreateOpenIDConnectProvider", Url=issuer, **{"ClientIDList.member.1": "bastide", "ThumbprintList.member.1": "0" * 40})
        trust(house, issuer, ca)
        env = {**os.environ, "XDG_CONFIG_HOME": f"{folder}/config", "BASTIDE_KEYRING": "off", "BASTIDE_HOME": house.home}
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
            env.pop(name, None)

        def sign_in(person, *words):
            """Runs `auth login`, hands what it prints to a browser, and waits for its end."""
            login = subprocess.Popen([BINARY, "auth", "login", "--issuer-ca", ca, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
            seen = ""
            while "Waiting" not in seen:
                line = login.stderr.readline()
                assert line, seen + login.stdout.read()
                seen += line
            try:
                if "--device" in words:
                    Browser(ca, person).walk(re.search(r"or open (\S+)", seen)[1])
                else:
                    said = Browser(ca, person).walk(re.search(r"https://\S+", seen)[0])
                    assert "You are signed in" in said, said
            except BaseException:
                login.kill()
                raise
            out, err = login.communicate(timeout=60)
            return login.returncode, out, err

        status, out, err = sign_in("alice", "--sso")
        assert status == 0 and "stage-developer" in out, (out, err, house.log_text())
        who = subprocess.run([BINARY, "auth", "whoami", "--json"], capture_output=True, text=True, env=env)
        assert json.loads(who.stdout)["arn"].endswith(":user/alice"), who
        assert subprocess.run([BINARY, "auth", "export", "stage-developer"], capture_output=True, env=env).returncode == 0

        # Who has no user, or an address that the provider has not verified, is let in as nobody.
        for stranger in ("mallory", "unverified"):
            status, out, err = sign_in(stranger, "--sso")
            assert status == 1 and "AccessDenied" in err and "tagged" in err, (stranger, out, err)

        status, out, err = sign_in("alice", "--device")
        assert status == 0 and "stage-developer" in out, (out, err)
    finally:
        provider.stdin.close()
        provider.wait(20)


with House() as house, tempfile.TemporaryDirectory(prefix="bastide-sso-") as folder:
    main(house, folder)
print("ok")
