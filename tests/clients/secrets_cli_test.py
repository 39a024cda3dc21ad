#!/usr/bin/env python3
"""`bastide secrets` as people use it: in pipes, in files, around commands, in git."""
import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from support.house import BINARY, House

PLANTED = "pl4nted hunter\"2\\ 7f3a"


def shell(house, line, check=0, env=None, **more):
    own = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    own.update({"BASTIDE_HOME": house.home, "PATH": f"{BINARY.parent}:{os.environ['PATH']}", **(env or {})})
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, env=own, timeout=120, **more)
    assert done.returncode == check, (line, done.returncode, done.stdout, done.stderr)
    return done


with House() as house, tempfile.TemporaryDirectory() as folder:
    here = pathlib.Path(folder)

    # As every README says it.
    done = shell(house, 'echo "password" | bastide secrets encrypt --aws-region us-east-1', cwd=folder)
    token = done.stdout.strip()
    assert token.startswith("kmscrypt::") and "stripped one newline" in done.stderr and "password" not in done.stderr, done
    config = '{\n  "db": {"password": "%s"},\t"port": 5432\n}\n' % token
    (here / "config.json").write_text(config)
    done = shell(house, "cat config.json | bastide secrets decrypt --aws-region us-east-1", cwd=folder)
    assert done.stdout == config.replace(token, "password"), done.stdout

    # Any text, any value; a file of its own; ciphertexts bound to a context.
    assert shell(house, "printf 'a\\n' | bastide secrets encrypt --raw | bastide secrets decrypt").stdout == "a\n\n"
    assert shell(house, f"bastide secrets decrypt --ciphertext {token}").stdout == "password\n"
    assert shell(house, "bastide secrets encrypt --plaintext x | bastide secrets decrypt").stdout == "x\n"
    bound = shell(house, "echo v | bastide secrets encrypt --context app=web").stdout.strip()
    assert shell(house, f"echo {bound} | bastide secrets decrypt --context app=web").stdout == "v\n"
    refused = shell(house, f"echo {bound} | bastide secrets decrypt --context app=WEB", check=1)
    assert "line 1, column 1" in refused.stderr and bound not in refused.stderr, refused
    large = base64.b64encode(os.urandom(60_000)).decode()
    envelope = shell(house, "bastide secrets encrypt", input=large).stdout
    assert envelope.startswith("kmsenvelope::") and "kmscrypt::" not in envelope
    assert shell(house, "bastide secrets decrypt", input=envelope).stdout == large + "\n"
    shell(house, "printf '' | bastide secrets encrypt", check=1)

    # set, unset: one value changes, nothing else.
    (here / "app.yaml").write_text("web:\n  port: 80 # plain\n  password: old\n")
    shell(house, "bastide secrets set app.yaml web.password --value-stdin", cwd=folder, input=PLANTED)
    text = (here / "app.yaml").read_text()
    assert text.startswith("web:\n  port: 80 # plain\n  password: \"kmscrypt::") and PLANTED not in text, text
    shell(house, "bastide secrets set config.json db.user --value-stdin", cwd=folder, input=PLANTED)
    assert json.loads(shell(house, "bastide secrets decrypt config.json", cwd=folder).stdout)["db"] == {"password": "password", "user": PLANTED}
    shell(house, "bastide secrets unset config.json db.user", cwd=folder)
    assert (here / "config.json").read_text() == config

    # edit: what did not change keeps its ciphertext.
    (here / "editor").write_text('#!/bin/sh\ncase "$1" in /dev/shm/*) ;; *) exit 9 ;; esac\nsed -i \'s/5432/"<<secret>>new one<<\\/secret>>"/\' "$1"\n')
    (here / "editor").chmod(0o755)
    shell(house, "bastide secrets edit config.json", cwd=folder, env={"VISUAL": str(here / "editor")})
    text = (here / "config.json").read_text()
    assert token in text and "new one" not in text and json.loads(shell(house, "bastide secrets decrypt config.json", cwd=folder).stdout)["port"] == "new one"
    (here / "config.json").write_text(config)
    assert not [n for n in os.listdir("/dev/shm") if n.startswith("bastide-edit")]

    # rotate touches only what an older key encrypted.
    assert "renewed 0 of 1" in shell(house, "bastide secrets rotate config.json", cwd=folder).stderr
    assert (here / "config.json").read_text() == config
    operator = house.operator()
    _, alias = house.json_call(operator, "kms", "TrentService.DescribeKey", {"KeyId": "alias/bastide-default"})
    key = alias["KeyMetadata"]["KeyId"]
    house.json_call(operator, "kms", "TrentService.RotateKeyOnDemand", {"KeyId": key})
    assert "renewed 1 of 1" in shell(house, "bastide secrets rotate config.json", cwd=folder).stderr
    rotated = (here / "config.json").read_text()
    assert token not in rotated and shell(house, "bastide secrets decrypt config.json", cwd=folder).stdout == config.replace(token, "password")
    assert shell(house, f"echo {token} | bastide secrets decrypt").stdout == "password\n"

    # rekey: a folder, to another key.
    _, other = house.json_call(operator, "kms", "TrentService.CreateKey", {})
    (here / "conf.d").mkdir()
    for i in range(100):
        (here / "conf.d" / f"{i}.env").write_text(f"A={token}\n")
    shell(house, f"bastide secrets rekey conf.d --to-key-id {other['KeyMetadata']['Arn']}", cwd=folder)
    house.json_call(operator, "kms", "TrentService.DisableKey", {"KeyId": key})
    assert shell(house, "bastide secrets decrypt conf.d/7.env", cwd=folder).stdout == "A=password\n"
    shell(house, f"echo {token} | bastide secrets decrypt", check=1)

    # check finds what nobody can decrypt, and what stands in clear; it prints no value.
    (here / "clear.env").write_text("DB_PASSWORD=hunter2hunter2\n")  # secrets:ignore
    done = shell(house, "bastide secrets check .", cwd=folder, check=2)
    assert "clear.env:1: a secret in clear (DB_PASSWORD)" in done.stdout and "config.json:2" in done.stdout and "hunter2" not in done.stdout + done.stderr, done
    house.json_call(operator, "kms", "TrentService.EnableKey", {"KeyId": key})
    (here / "clear.env").unlink()
    shell(house, "bastide secrets check .", cwd=folder)

    # exec: environment, status and signals are the command's own.
    env = {"SECRET": token, "PLAIN": "p"}
    assert shell(house, "bastide secrets exec -- sh -c 'echo $SECRET $PLAIN \"$0\"' -x", env=env).stdout == "password p -x\n"
    (here / "stage.env").write_text(f"export ONE='{token}'\n# no\nTWO=2\n")
    assert shell(house, "bastide secrets exec --env-file stage.env -- sh -c 'echo $ONE$TWO; exit 7'", cwd=folder, check=7).stdout == "password2\n"
    assert shell(house, "bastide secrets exec-file config.json -- sh -c 'cat {}; ls -l {} >&2'", cwd=folder).stdout == config.replace(token, "password")
    assert '"password": "password"' in shell(house, "bastide secrets exec-file config.json --as CONF -- sh -c 'cat $CONF'", cwd=folder).stdout
    running = subprocess.Popen([str(BINARY), "secrets", "exec", "--home", house.home, "--", "sh", "-c", "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done"],
                               stdout=subprocess.PIPE, env={**{k: v for k, v in os.environ.items() if not k.startswith("AWS_")}, **env})
    assert running.stdout.readline() == b"up\n"
    argv = pathlib.Path(f"/proc/{running.pid}/cmdline").read_bytes()
    assert b"password" not in argv, argv
    running.send_signal(signal.SIGTERM)
    assert running.wait(10) == 5

    # A secret of Secrets Manager, named instead of held.
    house.json_call(operator, "secretsmanager", "secretsmanager.CreateSecret", {"Name": "web/db", "SecretString": json.dumps({"password": PLANTED})})
    both = shell(house, "bastide secrets decrypt", input='{"p": "awssecret::web/db#password", "q": "%s"}' % token).stdout
    assert json.loads(both) == {"p": PLANTED, "q": "password"}, both
    assert shell(house, "bastide secrets exec -- sh -c 'printf %s \"$DB\"'", env={"DB": "awssecret::web/db#password"}).stdout == PLANTED
    assert "ResourceNotFoundException" in shell(house, "echo awssecret::web/none | bastide secrets decrypt", check=1).stderr
    helper = {"AWS_ACCESS_KEY_ID": operator.access_key, "AWS_SECRET_ACCESS_KEY": operator.secret_key, "AWS_SESSION_TOKEN": operator.token,
              "AWS_ENDPOINT_URL": house.endpoint, "AWS_REGION": "us-east-1"}
    assert shell(house, f"echo x=awssecret::web/db#password | {BINARY.parent}/kmscrypt/kmscrypt decrypt", env=helper).stdout == f"x={PLANTED}\n"

    # With AWS's own variables instead of a home.
    env = {"AWS_ACCESS_KEY_ID": operator.access_key, "AWS_SECRET_ACCESS_KEY": operator.secret_key, "AWS_SESSION_TOKEN": operator.token,
           "AWS_ENDPOINT_URL": house.endpoint, "BASTIDE_HOME": "/nonexistent"}
    own = shell(house, f"echo w | bastide secrets encrypt --aws-region us-east-1 --key-id {key}", env=env).stdout
    assert shell(house, "bastide secrets decrypt --aws-region us-east-1", env=env, input=own).stdout == "w\n"

    # A hundred values are fast.
    tokens = [shell(house, f"bastide secrets encrypt --plaintext v{i}").stdout.strip() for i in range(5)]
    many = "".join(f"K{i}={tokens[i % 5]}\n" for i in range(100))
    started = time.monotonic()
    assert shell(house, "bastide secrets decrypt", input=many).stdout.count("\n") == 100
    print(f"100 values: {(time.monotonic() - started) * 1000:.0f} ms")

    if shutil.which("git"):
        repo = here / "repo"
        repo.mkdir()
        (repo / "config").mkdir()

        def git(line, check=0):
            return shell(house, f"git -c user.name=a -c user.email=a@b -c init.defaultBranch=main {line}", cwd=str(repo), check=check)

        def fresh(value):
            return shell(house, f"bastide secrets encrypt --plaintext {value}").stdout.strip()

        git("init -q")
        shell(house, "bastide secrets git-setup 'config/*' --hook", cwd=str(repo))
        (repo / "config/a.env").write_text(f"A={fresh('one')}\nB={fresh('two')}\n\n\n\nC=3\n")
        git("add -A")
        git("commit -qm first")
        git("checkout -qb other")
        (repo / "config/a.env").write_text(f"A={fresh('one')}\nB={fresh('two')}\n\n\n\nC=4\n")
        git("commit -qam 'rotated, C is 4'")
        git("checkout -q main")
        (repo / "config/a.env").write_text(f"A={fresh('changed')}\nB={fresh('two')}\n\n\n\nC=3\n")
        diff = git("diff").stdout
        assert "-A=one\n+A=changed" in diff and "-B" not in diff, diff
        git("commit -qam 'A changed'")
        git("merge -q other -m merge")
        assert shell(house, "bastide secrets decrypt config/a.env", cwd=str(repo)).stdout == "A=changed\nB=two\n\n\n\nC=4\n"
        (repo / "config/b.env").write_text("DB_PASSWORD=hunter2hunter2\n")  # secrets:ignore
        git("add -A")
        refused = git("commit -qm leak", check=1)
        assert "config/b.env:1" in refused.stdout + refused.stderr, refused
print("ok")
