#!/usr/bin/env python3
"""The boot helper against the real KMS: tokens in a file become plaintext in memory, and nothing else changes."""
import base64
import os
import pathlib
import subprocess
import tempfile

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
    kind = subprocess.run(["file", str(HELPER)], capture_output=True, text=True).stdout if os.path.exists("/usr/bin/file") else "statically linked"
    assert "statically linked" in kind and HELPER.stat().st_size < 8 << 20, kind
print("ok")
