#!/usr/bin/env python3
"""Debian's aws CLI and boto3 as clients: identities, denials, secrets."""
import json
import shutil
import subprocess
import sys

from support.house import House

try:
    import boto3
    import botocore.exceptions
except ImportError:
    print("skipped: python3-boto3 is not installed")
    sys.exit(77)
if not shutil.which("aws"):
    print("skipped: awscli is not installed")
    sys.exit(77)


def client(house, credentials, service):
    return boto3.client(service, endpoint_url=house.endpoint, region_name="us-east-1", aws_access_key_id=credentials.access_key,
                        aws_secret_access_key=credentials.secret_key, aws_session_token=credentials.token)


with House() as house:
    out = house.bastide("aws", "--profile", "operator", "sts", "get-caller-identity")
    assert ":assumed-role/" in json.loads(out.stdout)["Arn"], out.stdout

    operator = house.operator()
    iam = client(house, operator, "iam")
    iam.create_user(UserName="bob")
    key = iam.create_access_key(UserName="bob")["AccessKey"]
    assert len(iam.get_paginator("list_users").paginate().build_full_result()["Users"]) == 1

    from support.house import Credentials
    bob = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    assert client(house, bob, "sts").get_caller_identity()["Arn"].endswith(":user/bob")
    kms = client(house, bob, "kms")
    try:
        kms.create_key()
        raise SystemExit("bob could make a key")
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == "AccessDeniedException", e
        assert "kms:CreateKey" in str(e) and "identity-based policy" in str(e), e

    kms = client(house, operator, "kms")
    key_id = kms.create_key(Description="d")["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"s3cret")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"s3cret"

    wrong = Credentials(operator.access_key, "x" * 40, operator.token)
    try:
        client(house, wrong, "sts").get_caller_identity()
        raise SystemExit("a wrong secret was accepted")
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == "SignatureDoesNotMatch", e

    # Debian's CLI 2.9 on its own, by --endpoint-url.
    import os
    env = {**os.environ, "AWS_ACCESS_KEY_ID": operator.access_key, "AWS_SECRET_ACCESS_KEY": operator.secret_key,
           "AWS_SESSION_TOKEN": operator.token or "", "AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": ""}
    done = subprocess.run(["aws", "--endpoint-url", house.endpoint, "kms", "list-keys"], env=env, capture_output=True, text=True)
    assert done.returncode == 0 and key_id in done.stdout, done.stderr
print("ok")
