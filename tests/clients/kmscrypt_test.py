#!/usr/bin/env python3
"""The boot helper against the real KMS: tokens in a file become plaintext in memory, and nothing else changes."""
import base64
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import urllib.parse

from support.house import BINARY, House

HELPER = BINARY.parent / "kmscrypt" / "kmscrypt"

with House() as house:
    operator = house.operator()
    _, made = house.json_call(operator, "kms", "TrentService.CreateKey", {})
    _, sealed = house.json_call(operator, "kms", "TrentService.Encrypt",
                                {"KeyId": made["KeyMetadata"]["KeyId"], "Plaintext": base64.b64encode(b'p"w\n').decode()})
    token = "kmscrypt::" + sealed["CiphertextBlob"]
    env = {"AWS_ACCESS_KEY_ID": operator.access_key, "AWS_SECRET_ACCESS_KEY": operator.secret_key, "AWS_SESSION_TOKEN": operator.token or "",
           "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": house.endpoint, "WHERE": "stage", "PATH": os.environ["PATH"]}
    text = f'{{"a": "{token}",\n  "b": "{token} and more" }}'
    done = subprocess.run([HELPER, "decrypt"], input=text, capture_output=True, text=True, env=env)
    assert done.stdout == '{"a": "p\\"w\\n",\n  "b": "p\\"w\\n and more" }', done

    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "stage.json").write_text(text)
        done = subprocess.run([HELPER, "exec", "--file", folder + "/$WHERE.json", "--as", "CONFIG", "--", "/bin/sh", "-c", 'cat "$CONFIG"'],
                              capture_output=True, text=True, env=env)
        assert done.stdout.startswith('{"a": "p\\"w\\n"'), done
        done = subprocess.run([HELPER, "exec", "--file", folder + "/$NOWHERE.json", "--as", "CONFIG", "--", "/bin/true"], capture_output=True, text=True, env=env)
        assert done.returncode == 1 and "NOWHERE" in done.stderr, done

    wrong = {**env, "AWS_SECRET_ACCESS_KEY": "x"}
    done = subprocess.run([HELPER, "decrypt"], input=text, capture_output=True, text=True, env=wrong)
    assert done.returncode == 1 and done.stdout == "" and sealed["CiphertextBlob"] not in done.stderr, done
    # Without keys in the environment: the instance's role (IMDSv2 alone), a web identity, an endpoint without TLS that is not near.
    class Metadata(http.server.BaseHTTPRequestHandler):
        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_PUT(self):
            good = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
            self.answer(200 if good else 400, b"t0ken")

        def do_GET(self):
            if self.headers["X-aws-ec2-metadata-token"] != "t0ken":
                return self.answer(401, b"")
            path = "/latest/meta-data/iam/security-credentials/"
            if self.path == path:
                return self.answer(200, b"app-role\n")
            found = {"AccessKeyId": operator.access_key, "SecretAccessKey": operator.secret_key, "Token": operator.token}
            return self.answer(200 if self.path == path + "app-role" else 404, json.dumps(found).encode())

        def do_POST(self):
            asked = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            if asked["Action"] != ["AssumeRoleWithWebIdentity"] or asked["WebIdentityToken"] != ["jwt.jwt"] or "Authorization" in self.headers:
                return self.answer(403, b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>")
            body = f"<R><Credentials><AccessKeyId>{operator.access_key}</AccessKeyId><SecretAccessKey>{operator.secret_key}</SecretAccessKey><SessionToken>{operator.token}</SessionToken></Credentials></R>"
            return self.answer(200, body.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metadata)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    near = f"http://127.0.0.1:{server.server_port}"
    keyless = {k: v for k, v in env.items() if not k.startswith("AWS_ACCESS") and not k.startswith("AWS_SE")}

    def decrypted(more, check=0):
        done = subprocess.run([HELPER, "decrypt"], input=text, capture_output=True, text=True, env={**keyless, **more})
        assert done.returncode == check, done
        return done

    assert '"p\\"w\\n"' in decrypted({"AWS_EC2_METADATA_SERVICE_ENDPOINT": near}).stdout
    assert "no credentials" in decrypted({"AWS_EC2_METADATA_SERVICE_ENDPOINT": near, "AWS_EC2_METADATA_DISABLED": "true"}, 1).stderr
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "jwt").write_text("jwt.jwt\n")
        identity = {"AWS_WEB_IDENTITY_TOKEN_FILE": folder + "/jwt", "AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/app", "AWS_ENDPOINT_URL_STS": near}
        assert '"p\\"w\\n"' in decrypted(identity).stdout
        pathlib.Path(folder, "jwt").write_text("other")
        refused = decrypted(identity, 1)
        assert "AccessDenied: no" in refused.stderr and "other" not in refused.stderr, refused
    assert "without TLS" in decrypted({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.1/x"}, 1).stderr
    server.shutdown()

    # A value bound to a context, an envelope, and an image FROM scratch.
    _, bound = house.json_call(operator, "kms", "TrentService.Encrypt",
                               {"KeyId": made["KeyMetadata"]["KeyId"], "Plaintext": base64.b64encode(b"b").decode(), "EncryptionContext": {"app": "web"}})
    tied = "kmscrypt::" + bound["CiphertextBlob"]
    assert subprocess.run([HELPER, "decrypt", "--context", "app=web"], input=tied, capture_output=True, text=True, env=env).stdout == "b"
    assert subprocess.run([HELPER, "decrypt"], input=tied, capture_output=True, text=True, env=env).returncode == 1
    large = "x" * 9000
    envelope = subprocess.run([BINARY, "secrets", "encrypt", "--home", house.home], input=large, capture_output=True, text=True).stdout
    assert subprocess.run([HELPER, "decrypt"], input=envelope, capture_output=True, text=True, env=env).stdout == large + "\n"
    if os.geteuid() == 0:
        with tempfile.TemporaryDirectory() as image:
            shutil.copy(HELPER, image + "/kmscrypt")
            done = subprocess.run(["chroot", image, "/kmscrypt", "decrypt"], input=text, capture_output=True, text=True, env=env)
            assert '"p\\"w\\n"' in done.stdout, done

    kind = subprocess.run(["file", str(HELPER)], capture_output=True, text=True).stdout if os.path.exists("/usr/bin/file") else "statically linked"
    assert "statically linked" in kind and HELPER.stat().st_size < 8 << 20, kind
print("ok")
