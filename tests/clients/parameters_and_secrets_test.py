#!/usr/bin/env python3
"""boto3 against Parameter Store and Secrets Manager: who may read what, through which key; CloudFormation makes both
and reads them by dynamic references; nothing secret is on disk in clear."""
import json
import pathlib
import subprocess
import sys
import time

from support.house import Credentials, House

try:
    import boto3
    from botocore.exceptions import ClientError
except ImportError:
    print("skipped: python3-boto3 is not installed")
    sys.exit(77)

PLANTED = "pl4nted-value-7f3a"


def client(house, who, service):
    return boto3.client(service, endpoint_url=house.endpoint, region_name="us-east-1", aws_access_key_id=who.access_key,
                        aws_secret_access_key=who.secret_key, aws_session_token=who.token)


def refused(f, *codes):
    try:
        f()
    except ClientError as e:
        assert e.response["Error"]["Code"] in codes, e
        return str(e)
    raise AssertionError("was not refused")


def user(house, name, *statements):
    iam = client(house, house.operator(), "iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def allow(actions, resource="*", **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


with House() as house:
    operator = house.operator()
    ssm, kms, sm = (client(house, operator, s) for s in ("ssm", "kms", "secretsmanager"))
    for i in range(25):
        ssm.put_parameter(Name=f"/many/{i:02}", Value=f"v{i}", Type="String")
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path="/many").build_full_result()["Parameters"]
    assert [p["Value"] for p in pages] == [f"v{i}" for i in range(25)], pages
    assert len(ssm.get_paginator("describe_parameters").paginate(PaginationConfig={"PageSize": 7}).build_full_result()["Parameters"]) == 25

    # A SecureString under the account's default key needs ssm's permission alone; one under a key of its own needs the key's too.
    key = kms.create_key()["KeyMetadata"]
    ssm.put_parameter(Name="/s/default", Value=PLANTED, Type="SecureString")
    ssm.put_parameter(Name="/s/own", Value=PLANTED, Type="SecureString", KeyId=key["KeyId"])
    ssm.put_parameter(Name="/s/large", Value=PLANTED + "x" * 5000, Type="SecureString", Tier="Intelligent-Tiering")
    assert ssm.get_parameter(Name="/s/large", WithDecryption=True)["Parameter"]["Value"] == PLANTED + "x" * 5000
    reader = client(house, user(house, "reader", allow("ssm:GetParameter", "arn:aws:ssm:*:*:parameter/s/*")), "ssm")
    assert reader.get_parameter(Name="/s/default", WithDecryption=True)["Parameter"]["Value"] == PLANTED
    refused(lambda: reader.get_parameter(Name="/s/own", WithDecryption=True), "AccessDeniedException")
    assert reader.get_parameter(Name="/s/own")["Parameter"]["Value"] != PLANTED
    refused(lambda: reader.get_parameter(Name="/many/01"), "AccessDeniedException")
    via = user(house, "via", allow("ssm:GetParameter"),
               allow("kms:Decrypt", key["Arn"], Condition={"StringEquals": {"kms:ViaService": "ssm.us-east-1.amazonaws.com"}}))
    assert client(house, via, "ssm").get_parameter(Name="/s/own", WithDecryption=True)["Parameter"]["Value"] == PLANTED
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"direct")["CiphertextBlob"]
    refused(lambda: client(house, via, "kms").decrypt(CiphertextBlob=blob), "AccessDeniedException")

    # Secrets: each is authorised by itself, also in a batch.
    sm.create_secret(Name="open/one", SecretString=PLANTED)
    sm.create_secret(Name="closed/two", SecretString=PLANTED)
    some = client(house, user(house, "some", allow(["secretsmanager:GetSecretValue"], "arn:aws:secretsmanager:*:*:secret:open/*"),
                              allow("secretsmanager:BatchGetSecretValue")), "secretsmanager")
    batch = some.batch_get_secret_value(SecretIdList=["open/one", "closed/two"]) if hasattr(some, "batch_get_secret_value") else None
    if batch:
        assert [v["Name"] for v in batch["SecretValues"]] == ["open/one"] and batch["Errors"][0]["ErrorCode"] == "AccessDeniedException", batch
    refused(lambda: some.get_secret_value(SecretId="closed/two"), "AccessDeniedException")

    # CloudFormation makes both and reads them back.
    cfn = client(house, operator, "cloudformation")
    template = {"Resources": {
        "Url": {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/stack/url", "Type": "String", "Value": "http://x"}},
        "Password": {"Type": "AWS::SecretsManager::Secret", "Properties": {
            "Name": "stack/db", "GenerateSecretString": {"SecretStringTemplate": '{"user":"app"}', "GenerateStringKey": "password", "PasswordLength": 24}}},
        "Copy": {"Type": "AWS::SSM::Parameter", "DependsOn": ["Url", "Password"], "Properties": {
            "Type": "String", "Name": "/stack/copy", "Value": "{{resolve:ssm:/stack/url}} {{resolve:secretsmanager:stack/db:SecretString:user}} {{resolve:ssm:/stack/url:1}}"}},
        "Guarded": {"Type": "AWS::SecretsManager::Secret", "Properties": {"SecretString": "{{resolve:ssm-secure:/s/default}}"}}},
        "Outputs": {"Arn": {"Value": {"Ref": "Guarded"}}}}
    cfn.create_stack(StackName="both", TemplateBody=json.dumps(template))
    for _ in range(300):
        stack = cfn.describe_stacks(StackName="both")["Stacks"][0]
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(0.1)
    assert stack["StackStatus"] == "CREATE_COMPLETE", cfn.describe_stack_events(StackName="both")
    assert ssm.get_parameter(Name="/stack/copy")["Parameter"]["Value"] == "http://x app http://x"
    made = json.loads(sm.get_secret_value(SecretId="stack/db")["SecretString"])
    assert made["user"] == "app" and len(made["password"]) == 24, "shape"
    assert sm.get_secret_value(SecretId=stack["Outputs"][0]["OutputValue"])["SecretString"] == PLANTED
    cfn.delete_stack(StackName="both")
    for _ in range(300):
        if not [s for s in cfn.list_stacks()["StackSummaries"] if s["StackName"] == "both" and s["StackStatus"] != "DELETE_COMPLETE"]:
            break
        time.sleep(0.1)
    refused(lambda: sm.describe_secret(SecretId="stack/db"), "ResourceNotFoundException")

    found = subprocess.run(["grep", "-rlaF", PLANTED, house.home], capture_output=True, text=True).stdout
    assert found == "", f"in clear on disk: {found}"
    assert pathlib.Path(house.home, "metadata.sqlite").stat().st_size > 0
print("ok")
