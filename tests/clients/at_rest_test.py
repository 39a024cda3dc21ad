#!/usr/bin/env python3
"""What is kept: the master key and its protection, backups while things change, another machine, the service's unit."""
import base64
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading

from support.house import BINARY, House

PLANTED = "pl4nted-at-rest-51c2"


def bastide(*words, check=0, env=None, input=""):
    done = subprocess.run([str(BINARY), *words], capture_output=True, text=True, input=input, env={**os.environ, **(env or {})}, timeout=120)
    assert done.returncode == check, (words, done.returncode, done.stdout, done.stderr)
    return done


def call(house, service, target, arguments):
    status, answer = house.json_call(house.operator(), service, target, arguments)
    assert status == 200, answer
    return answer


def value_of(house):
    return call(house, "secretsmanager", "secretsmanager.GetSecretValue", {"SecretId": "kept"})["SecretString"]


def refused_start(house, expected):
    try:
        house.start()
    except RuntimeError as e:
        assert expected in str(e), e
        return
    raise AssertionError("it started")


with House() as house, tempfile.TemporaryDirectory() as folder:
    here = pathlib.Path(folder)
    secret = here / "passphrase"
    secret.write_text("correct horse battery\n")
    secret.chmod(0o600)
    wrong = here / "wrong"
    wrong.write_text("correct horse batterx\n")
    wrong.chmod(0o600)
    call(house, "secretsmanager", "secretsmanager.CreateSecret", {"Name": "kept", "SecretString": PLANTED})

    # A backup while a writer writes; nothing secret is in it but the key.
    stop = threading.Event()
    written = []

    def write():
        while not stop.is_set():
            call(house, "ssm", "AmazonSSM.PutParameter", {"Name": f"/n/{len(written)}", "Value": "v", "Type": "String"})
            written.append(len(written))

    writer = threading.Thread(target=write)
    writer.start()
    while len(written) < 50:
        pass
    before = len(written)
    archive = here / "one.tar.gz"
    done = house.bastide("backup", str(archive))
    stop.set()
    writer.join()
    assert "in clear" in done.stderr and archive.stat().st_mode & 0o777 == 0o600, done
    assert bastide("backup", "--home", house.home, str(archive), check=1).stderr.count("exists")
    text = subprocess.run(["tar", "-xzOf", archive], capture_output=True).stdout
    assert PLANTED.encode() not in text
    house.bastide("backup", "--without-key", str(here / "keyless.tar.gz"))

    # On "another machine": everything written before it is there.
    with tempfile.TemporaryDirectory() as elsewhere:
        home = elsewhere + "/home"
        bastide("restore", "--home", home, str(here / "keyless.tar.gz"), check=1)
        assert not os.path.exists(home)
        bastide("restore", "--home", home, str(archive))
        bastide("restore", "--home", home, str(archive), check=1)
        restored = House()
        os.rmdir(restored.home)
        os.rename(home, restored.home)
        with restored:
            assert value_of(restored) == PLANTED
            call(restored, "ssm", "AmazonSSM.GetParameter", {"Name": f"/n/{before - 1}"})
        bastide("restore", "--home", home, "--master-key", house.home + "/master.key", str(here / "keyless.tar.gz"))
        other_key = here / "other.key"
        other_key.write_text("bastide-master-key-1 " + base64.b64encode(os.urandom(32)).decode() + "\n")
        other_key.chmod(0o600)
        refused = bastide("restore", "--home", elsewhere + "/b", "--master-key", str(other_key), str(here / "keyless.tar.gz"), check=1)
        assert "is not the master key" in refused.stderr and not os.path.exists(elsewhere + "/b"), refused

    # A new generation while it runs; under a passphrase from then on.
    house.bastide("key rotate-master", "--passphrase-file", str(secret))
    assert value_of(house) == PLANTED
    house.stop(signal.SIGTERM)
    assert b"bastide-master-key-1" not in pathlib.Path(house.home, "master.key").read_bytes()
    before_bytes = pathlib.Path(house.home, "metadata.sqlite").read_bytes()
    refused_start(house, "there is no terminal to ask on")
    os.environ["BASTIDE_PASSPHRASE_FILE"] = str(wrong)
    refused_start(house, "is not the passphrase")
    assert pathlib.Path(house.home, "metadata.sqlite").read_bytes() == before_bytes
    os.environ["BASTIDE_PASSPHRASE_FILE"] = str(secret)
    house.start()
    assert value_of(house) == PLANTED
    call(house, "secretsmanager", "secretsmanager.CreateSecret", {"Name": "second", "SecretString": PLANTED})
    os.kill(house.role_pid("control"), signal.SIGKILL)  # serve still knows how to unlock it
    for _ in range(200):
        try:
            if house.http("GET", "/health")[0] == 200:
                break
        except OSError:
            pass
    assert value_of(house) == PLANTED
    for pid in [house.process.pid, house.role_pid("control"), house.role_pid("edge"), house.role_pid("runner")]:
        for name in ("cmdline", "environ"):
            assert b"correct horse" not in pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    assert "generations: 2" in bastide("key", "status", "--home", house.home).stdout

    # A key file elsewhere; without it nothing opens.
    key_file = here / "usb.key"
    house.bastide("key rotate-master", "--key-file", str(key_file))
    del os.environ["BASTIDE_PASSPHRASE_FILE"]
    house.stop(signal.SIGTERM)
    moved = here / "moved"
    key_file.rename(moved)
    refused_start(house, "the key file of the master key")
    moved.rename(key_file)
    house.start()
    assert value_of(house) == PLANTED

    # The service.
    unit = bastide("install", "--home", "/var/lib/bastide", "--root", folder, "--edge-address", "0.0.0.0").stdout.strip()
    text = pathlib.Path(unit).read_text()
    assert "KillMode=process" in text and "Delegate=yes" in text and '"--edge-address" "0.0.0.0"' in text, text
print("ok")
