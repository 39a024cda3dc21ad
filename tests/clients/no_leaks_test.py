#!/usr/bin/env python3
"""Plants secret values wherever Bastide takes them, in good requests and bad ones, and looks for them everywhere: the
home, the logs at their loudest, error texts, process lists, git."""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

from support.house import BINARY, House

PLANTED = "pl4ntedS3cretValue0f" + os.urandom(4).hex()
B64 = base64.b64encode(PLANTED.encode()).decode()
seen_in_lists = []


def watch(stop):
    me = os.getpid()
    while not stop.is_set():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if PLANTED.encode() in words and int(pid) != me:
                seen_in_lists.append(words)
        time.sleep(0.005)


with House("--debug") as house, tempfile.TemporaryDirectory() as folder:
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(stop,))
    watcher.start()
    operator = house.operator()
    answers = []

    def call(service, target, arguments, good=True):
        status, answer = house.json_call(operator, service, target, arguments)
        assert (status == 200) == good, (status, {k: v for k, v in answer.items() if k != "Plaintext"})
        if not good:
            answers.append(json.dumps(answer))
        return answer

    key = call("kms", "TrentService.CreateKey", {})["KeyMetadata"]["KeyId"]
    blob = call("kms", "TrentService.Encrypt", {"KeyId": key, "Plaintext": B64, "EncryptionContext": {"a": "b"}})["CiphertextBlob"]
    assert call("kms", "TrentService.Decrypt", {"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}})["Plaintext"] == B64
    call("kms", "TrentService.Encrypt", {"KeyId": "alias/none", "Plaintext": B64}, good=False)
    call("kms", "TrentService.Encrypt", {"KeyId": key, "Plaintext": base64.b64encode(PLANTED.encode() * 300).decode()}, good=False)

    call("ssm", "AmazonSSM.PutParameter", {"Name": "/s", "Value": PLANTED, "Type": "SecureString"})
    call("ssm", "AmazonSSM.PutParameter", {"Name": "/t", "Value": PLANTED, "Type": "String"})
    call("ssm", "AmazonSSM.GetParameter", {"Name": "/s", "WithDecryption": True})
    call("ssm", "AmazonSSM.PutParameter", {"Name": "/s", "Value": PLANTED, "Type": "SecureString"}, good=False)
    call("ssm", "AmazonSSM.PutParameter", {"Name": "/p", "Value": PLANTED, "Type": "String", "AllowedPattern": "^[0-9]+$"}, good=False)
    call("ssm", "AmazonSSM.PutParameter", {"Name": "/p", "Value": PLANTED * 500, "Type": "SecureString"}, good=False)
    call("ssm", "AmazonSSM.PutParameter", {"Name": "/p", "Value": PLANTED, "Type": "Wrong"}, good=False)

    call("secretsmanager", "secretsmanager.CreateSecret", {"Name": "one", "SecretString": json.dumps({"password": PLANTED})})
    call("secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": "one"})
    call("secretsmanager", "secretsmanager.PutSecretValue", {"SecretId": "one", "SecretBinary": B64})
    call("secretsmanager", "secretsmanager.CreateSecret", {"Name": "one", "SecretString": PLANTED}, good=False)
    call("secretsmanager", "secretsmanager.CreateSecret", {"Name": "a b", "SecretString": PLANTED}, good=False)
    call("secretsmanager", "secretsmanager.PutSecretValue", {"SecretId": "one", "SecretString": PLANTED, "SecretBinary": B64}, good=False)
    call("secretsmanager", "secretsmanager.PutSecretValue", {"SecretId": "one", "SecretString": PLANTED, "ClientRequestToken": "short"}, good=False)

    def bastide(*words, check=0, input=PLANTED):
        done = subprocess.run([str(BINARY), *words, "--home", house.home] if "--" not in words else
                              [str(BINARY), *words[:2], "--home", house.home, *words[2:]],
                              input=input, capture_output=True, text=True, cwd=folder, timeout=60)
        assert done.returncode == check, done.returncode
        answers.append(done.stderr)
        return done.stdout

    token = bastide("secrets", "encrypt").strip()
    pathlib.Path(folder, "a.json").write_text(json.dumps({"k": token}))
    bastide("secrets", "set", "a.json", "other", "--value-stdin")
    bastide("secrets", "rotate", "a.json", "--force")
    bastide("secrets", "check", ".")
    bastide("secrets", "set", "a.toml", "other", "--value-stdin", check=1)
    bastide("secrets", "encrypt", "--key-id", "alias/none", check=1)
    damaged = token[:-12] + ("A" if token[-12] != "A" else "B") + token[-11:]
    bastide("secrets", "decrypt", input=damaged, check=1)
    running = subprocess.Popen([str(BINARY), "secrets", "exec-file", "--home", house.home, "a.json", "--", "sh", "-c", "cat {} >/dev/null; sleep 1"], cwd=folder)
    time.sleep(0.3)
    running.wait()

    if shutil.which("git"):
        for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
            subprocess.run(["git", *words], cwd=folder, check=True)

    # A stack with a secret parameter, given in clear as its user does.
    template = {"Parameters": {"P": {"Type": "String", "NoEcho": True}}, "Resources": {"S": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": {"Ref": "P"}}}}}
    body = "&".join(f"{k}={v}" for k, v in {
        "Action": "CreateStack", "Version": "2010-05-15", "StackName": "s", "Parameters.member.1.ParameterKey": "P", "Parameters.member.1.ParameterValue": PLANTED,
        "TemplateBody": __import__("urllib.parse").parse.quote(json.dumps(template))}.items())
    status, _, answer = house.signed(operator, "cloudformation", headers={"Content-Type": "application/x-www-form-urlencoded"}, body=body)
    assert status == 200, answer
    for _ in range(100):
        status, _, answer = house.signed(operator, "cloudformation", headers={"Content-Type": "application/x-www-form-urlencoded"},
                                         body="Action=DescribeStacks&Version=2010-05-15&StackName=s")
        if b"CREATE_COMPLETE" in answer:
            break
        time.sleep(0.1)
    assert b"CREATE_COMPLETE" in answer
    answers.append(answer.decode())

    stop.set()
    watcher.join()
    for form in (PLANTED, B64, base64.b64encode(b"x" + PLANTED.encode())[4:-4].decode(), PLANTED.encode().hex()):
        found = subprocess.run(["grep", "-rlaF", form, house.home, folder], capture_output=True, text=True).stdout
        assert found == "", f"in clear on disk: {found}"
        assert form not in house.log_text() and not [a for a in answers if form in a]
    assert seen_in_lists == [], seen_in_lists
print("ok")
