#!/usr/bin/env python3
"""`bastide auth`: sign-in, MFA, roles, credential_process, access on request, and that removal ends everything."""
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

from support.house import BINARY, Credentials, House
from support.people import Town, form, tag, totp

PASSWORD = "Correct-horse-7-battery"


def session_of(text):
    v = json.loads(text)
    return Credentials(v["AccessKeyId"], v["SecretAccessKey"], v["SessionToken"])


def main(house, folder):
    town = Town(house)
    developer = f"arn:aws:iam::{town.stage}:role/bastide-developer"
    admin = f"arn:aws:iam::{town.stage}:role/bastide-admin"
    alice = town.person("alice", PASSWORD, developer)
    env = {"XDG_CONFIG_HOME": f"{folder}/config", "BASTIDE_KEYRING": "off", "HOME": folder, "AWS_CONFIG_FILE": f"{folder}/aws-config",
           "BASTIDE_HOME": house.home}

    def auth(*words, check=True, input=None, env=env):
        done = subprocess.run([BINARY, "auth", *words], input=input, capture_output=True, text=True, timeout=60, env={**os.environ, **env})
        assert not check or done.returncode == 0, f"auth {words}: {done.stdout}{done.stderr}\n{house.log_text()}"
        return done

    # Nothing prompts into a pipe, and nobody is signed in.
    refused = auth("login", "alice", check=False, input="")
    assert refused.returncode == 1 and "--password-stdin" in refused.stderr, refused
    assert "nobody is signed in" in auth("whoami", check=False).stderr

    wrong = auth("login", "alice", "--password-stdin", check=False, input="not the password\n")
    assert wrong.returncode == 1 and "wrong" in wrong.stderr and "password" in wrong.stderr, wrong.stderr
    unknown = auth("login", "nobody-here", "--password-stdin", check=False, input="not the password\n")
    assert unknown.stderr == wrong.stderr, "a refusal tells whether a user exists"
    done = auth("login", "alice", "--password-stdin", input=PASSWORD + "\n")
    assert "stage-developer" in done.stdout and "stage-admin" not in done.stdout, done.stdout
    who = json.loads(auth("whoami", "--json").stdout)
    assert who["arn"] == alice and not who["mfa"] and who["accountName"] == "security", who

    # The session is on disk, and not in clear.
    first = session_of(auth("export", "me").stdout)
    role = session_of(auth("export", "stage-developer").stdout)
    kept = b"".join(p.read_bytes() for p in pathlib.Path(folder).rglob("*") if p.is_file())
    for secret in (first.secret_key, first.token, role.secret_key, role.token, PASSWORD):
        assert secret.encode() not in kept, "a secret lies in clear in the user's folder"
    for p in pathlib.Path(folder, "config").rglob("*"):
        assert p.stat().st_mode & 0o077 == 0, f"{p} is open to others"

    # Other tools get the role's credentials.
    out = auth("exec", "stage-developer", "--", "sh", "-c", 'echo "$AWS_ACCESS_KEY_ID $BASTIDE_PROFILE $AWS_ENDPOINT_URL"; exit 7', check=False)
    assert out.returncode == 7 and out.stdout.split() == [role.access_key, "stage-developer", house.endpoint], out
    assert "export AWS_SESSION_TOKEN=" in auth("export", "stage-developer", "--format", "env").stdout
    assert "[stage-developer]\naws_access_key_id = ASIA" in auth("export", "stage-developer", "--format", "ini").stdout
    config = pathlib.Path(folder, "aws-config")
    mine = "# mine\n[default]\nregion = eu-west-1\n\n[profile stage-developer-old]\nrole_arn = x\n"
    config.write_text(mine)
    auth("profiles", "sync")
    first_sync = config.read_text()
    assert first_sync.startswith(mine) and "[profile stage-developer]" in first_sync, first_sync
    auth("profiles", "sync")
    assert config.read_text() == first_sync, "a second sync changes nothing"
    aws = next((p for p in ("/usr/bin/aws", shutil.which("aws")) if p and os.path.exists(p)), None)
    if aws:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        got = subprocess.run([aws, "--profile", "stage-developer", "--endpoint-url", house.endpoint, "sts", "get-caller-identity"],
                             env={**clean, **env, "AWS_EC2_METADATA_DISABLED": "true"}, capture_output=True, text=True, timeout=60)
        assert got.returncode == 0 and ":assumed-role/bastide-developer/alice" in got.stdout, got.stderr

    # MFA: two codes of the app in a row, and from then on a code at each sign-in.
    enrol = subprocess.Popen([BINARY, "auth", "mfa", "enrol", "--codes-stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env={**os.environ, **env})
    seed = ""
    while not seed:
        line = enrol.stderr.readline()
        assert line, "no secret was shown"
        if line.startswith("Secret: "):
            seed = line.split()[1]
    now = time.time()
    out, err = enrol.communicate(f"{totp(seed, now - 30)}\n{totp(seed, now)}\n", timeout=60)
    assert enrol.returncode == 0 and "MFA is on" in out, (out, err)
    no_code = auth("login", "alice", "--password-stdin", check=False, input=PASSWORD + "\n")
    assert no_code.returncode == 1 and "--mfa-code" in no_code.stderr, no_code.stderr
    used = auth("login", "alice", "--password-stdin", "--mfa-code", totp(seed, now), check=False, input=PASSWORD + "\n")
    assert used.returncode == 1, "a code counts once"
    auth("login", "alice", "--password-stdin", "--mfa-code", totp(seed, now + 30), input=PASSWORD + "\n")
    assert json.loads(auth("whoami", "--json").stdout)["mfa"] is True

    # Access on request: refused, asked for, granted by somebody else, used, and ended before its time.
    assert auth("export", "stage-admin", check=False).returncode == 1
    why = auth("why", alice, "sts:AssumeRole", admin, "--profile", "operator", check=False)
    assert why.returncode == 1 and "not authorized" in why.stderr, why  # the management account has no say in another's policies
    asked = auth("request", admin, "--reason", "incident 42", "--for", "2h").stdout
    request = asked.split()[0]
    assert "PENDING" in asked, asked
    own = auth("approve", request, "--profile", "me", check=False)
    assert own.returncode == 1 and "not authorized" in own.stderr, own.stderr
    assert auth("export", "stage-admin", check=False).returncode == 1
    status, answer = house.json_call(town.admin["prod"], "bastide", "Bastide_20261101.ApproveAccessRequest", {"requestId": request})
    assert status in (400, 403), "an administrator of another account could approve"
    status, answer = house.json_call(town.admin["stage"], "bastide", "Bastide_20261101.ApproveAccessRequest", {"requestId": request, "durationSeconds": 1800})
    assert status == 200 and answer["request"]["state"] == "APPROVED", answer
    granted = json.loads(auth("export", "stage-admin").stdout)
    left = (time.mktime(time.strptime(granted["Expiration"].split(".")[0].rstrip("Z"), "%Y-%m-%dT%H:%M:%S")) - time.mktime(time.gmtime())) / 60
    assert left <= 30.5, f"a session of {left} minutes outlives a grant of 30"
    session = Credentials(granted["AccessKeyId"], granted["SecretAccessKey"], granted["SessionToken"])
    assert form(house, session, "sts", "GetCallerIdentity")[0] == 200
    assert "APPROVED" in auth("requests").stdout
    status, answer = house.json_call(town.admin["stage"], "bastide", "Bastide_20261101.RevokeAccessRequest", {"requestId": request, "reason": "over"})
    assert status == 200, answer
    assert form(house, session, "sts", "GetCallerIdentity")[0] == 403, "revoked access goes on"
    again = auth("request", admin, "--reason", "again", "--for", "1h").stdout.split()[0]  # what was revoked can be asked for again
    assert auth("approve", again, check=False).returncode == 1, "nobody approves a request of their own"
    # Somebody else who may decide names no profile: the role that may is found.
    town.person("boss", PASSWORD, developer, admin)
    boss = {**env, "XDG_CONFIG_HOME": f"{folder}/boss"}
    auth("login", "boss", "--password-stdin", input=PASSWORD + "\n", env=boss)
    assert "APPROVED" in auth("approve", again, "--for", "10m", env=boss).stdout
    assert "stage-admin" in auth("profiles", "list").stdout
    events = auth("audit", "--operation", "ApproveAccessRequest", "--limit", "3", env=boss).stdout
    assert ":user/boss" in events and "allowed" in events, events
    assert auth("deny", again, env=boss, check=False).returncode == 1, "what is approved is not denied any more"
    assert "REVOKED" in auth("revoke", again, env=boss).stdout

    # What was decided and why, from the account's own administrator; and the trail.
    house.json_call(town.admin["stage"], "kms", "TrentService.ListKeys", {})
    status, answer = house.json_call(town.admin["stage"], "bastide", "Bastide_20261101.ExplainAccess",
                                     {"principal": developer, "action": "iam:CreateUser", "resource": f"arn:aws:iam::{town.stage}:user/x"})
    assert status == 200 and not answer["allowed"], answer
    reasons = [s.get("reason", "") for s in answer["statements"]]
    assert any("iam:List*" in r and "does not cover the action" in r for r in reasons), answer
    trail = auth("audit", "--who", "alice", "--operation", "AssumeRole", "--limit", "5", "--profile", "operator").stdout
    assert "sts.AssumeRole" in trail and ":user/alice" in trail, trail
    denied = auth("audit", "--denied", "--limit", "20", "--profile", "operator", "--json").stdout
    assert all(not json.loads(line)["allowed"] for line in denied.splitlines()) and denied, denied

    # Long-term keys become a session too (against AWS as well), and roles go by their ARN; a link for a browser.
    made = town.iam("security", "CreateAccessKey", UserName="alice")
    keys = f"{tag(made, 'AccessKeyId')}\n{tag(made, 'SecretAccessKey').replace('&#x2F;', '/')}\n"
    wrong = auth("login", "--keys-stdin", "--mfa-serial", f"arn:aws:iam::{town.security}:mfa/alice", "--mfa-code", "000000", check=False, input=keys)
    assert wrong.returncode == 1 and "MultiFactorAuthentication failed" in wrong.stderr, wrong
    auth("login", "--keys-stdin", input=keys)
    assert json.loads(auth("whoami", "--json").stdout)["arn"] == alice
    out = auth("exec", developer, "--", "sh", "-c", "echo $AWS_ACCESS_KEY_ID").stdout
    assert out.startswith("ASIA"), out
    asked = []

    class Federation(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"SigninToken": "token+1"}')

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Federation)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    link = auth("console", "stage-developer", "--federation-endpoint", f"http://127.0.0.1:{server.server_port}/federation").stdout
    assert "Action=login" in link and "SigninToken=token%2B1" in link, link
    assert "Action=getSigninToken" in asked[0] and "sessionToken" in asked[0], asked
    server.shutdown()
    assert "use 'bastide console'" in auth("console", "stage-developer", check=False).stderr
    town.iam("security", "DeleteAccessKey", UserName="alice", AccessKeyId=tag(made, "AccessKeyId"))

    # Removing the user ends the session, and every role's that it assumed.
    role = session_of(auth("export", "stage-developer").stdout)
    me = session_of(auth("export", "me").stdout)
    assert form(house, role, "sts", "GetCallerIdentity")[0] == 200
    town.iam("security", "DeactivateMFADevice", UserName="alice", SerialNumber=f"arn:aws:iam::{town.security}:mfa/alice")
    town.iam("security", "DeleteLoginProfile", UserName="alice")
    town.iam("security", "DeleteUserPolicy", UserName="alice", PolicyName="self")
    town.iam("security", "DeleteUser", UserName="alice")
    assert form(house, me, "sts", "GetCallerIdentity")[0] == 403, "the session of a removed user goes on"
    assert form(house, role, "sts", "GetCallerIdentity")[0] == 403, "a role's session of a removed user goes on"
    auth("logout")
    assert "nobody is signed in" in auth("whoami", check=False).stderr
    assert not list(pathlib.Path(folder, "config/bastide/sessions").iterdir())


with House() as house, tempfile.TemporaryDirectory(prefix="bastide-auth-") as folder:
    main(house, folder)
print("ok")
