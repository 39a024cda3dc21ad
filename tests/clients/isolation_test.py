#!/usr/bin/env python3
"""The people of the storefront's own templates: nobody in security raises their own rights, no environment's administrator reaches another."""
import json
import subprocess
import time
import urllib.parse

from support.house import BINARY, ROOT, Credentials, House
from support.people import Town, assume, form, policy, tag, trust_account, allow

PASSWORD = "Correct-horse-7-battery"


def query(house, credentials, service, version, action, **parameters):
    status, _, answer = house.signed(credentials, service, headers={"Content-Type": "application/x-www-form-urlencoded"},
                                     body=urllib.parse.urlencode({"Action": action, "Version": version, **parameters}))
    return status, answer.decode()


def deploy(house, credentials, name, body):
    status, answer = query(house, credentials, "cloudformation", "2010-05-15", "CreateStack", StackName=name, TemplateBody=body, **{"Capabilities.member.1": "CAPABILITY_NAMED_IAM"})
    assert status == 200, answer
    for _ in range(600):
        status, answer = query(house, credentials, "cloudformation", "2010-05-15", "DescribeStacks", StackName=name)
        state = tag(answer, "StackStatus")
        if not state.endswith("IN_PROGRESS"):
            break
        time.sleep(0.05)
    assert state == "CREATE_COMPLETE", answer


def main(house):
    town = Town(house)
    shared = town.make_account("shared-services")
    for account in ("stage", "prod"):  # the templates bring roles of these names
        for role in ("bastide-admin", "bastide-developer"):
            town.iam(account, "DeleteRolePolicy", RoleName=role, PolicyName="p")
            town.iam(account, "DeleteRole", RoleName=role)
    ids = {"management": town.management, "security": town.security, "shared-services": shared, "stage": town.stage, "prod": town.prod}
    given = [w for name, account in ids.items() for w in ("--account-id", f"{name}={account}")]
    made = subprocess.run([BINARY, "synth", str(ROOT / "examples/storefront"), "--json", *given, "--home", house.home], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    stacks = {(s["account"], s["name"]): s["body"] for s in json.loads(made.stdout)["stacks"]}
    deployed = 0
    for (account, name), body in stacks.items():
        if "people" in name and account == "security" or "access" in name and account in ("stage", "prod", "security"):
            deploy(house, town.admin[account], name, body)
            deployed += 1
    assert deployed == 4, f"{deployed} stacks of {sorted(stacks)}"

    # Another person of the developers, beside the one that the file names.
    for name in ("dev", "other"):
        town.iam("security", "CreateUser", UserName=name)
        town.iam("security", "CreateLoginProfile", UserName=name, Password=PASSWORD)
    town.iam("security", "AddUserToGroup", UserName="dev", GroupName="developers")

    def sign_in(name):
        status, session = house.json_call(Credentials("x", "x"), "bastide", "Bastide_20261101.SignIn", {"userName": name, "password": PASSWORD})
        assert status == 200, session
        return Credentials(*(session["credentials"][k] for k in ("accessKeyId", "secretAccessKey", "sessionToken")))

    dev = sign_in("dev")
    me, other = f"arn:aws:iam::{town.security}:user/dev", "other"
    managed = f"arn:aws:iam::{town.security}:policy/bastide-self-management"
    everything = policy(allow("*"))
    for action, parameters in [
        ("AttachUserPolicy", {"UserName": "dev", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        ("PutUserPolicy", {"UserName": "dev", "PolicyName": "p", "PolicyDocument": everything}),
        ("AddUserToGroup", {"UserName": "dev", "GroupName": "administrators"}),
        ("RemoveUserFromGroup", {"UserName": "dev", "GroupName": "developers"}),
        ("PutGroupPolicy", {"GroupName": "developers", "PolicyName": "p", "PolicyDocument": everything}),
        ("AttachGroupPolicy", {"GroupName": "developers", "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        ("DeleteGroupPolicy", {"GroupName": "developers", "PolicyName": "assume-roles"}),
        ("CreatePolicy", {"PolicyName": "mine", "PolicyDocument": everything}),
        ("CreatePolicyVersion", {"PolicyArn": managed, "PolicyDocument": everything, "SetAsDefault": "true"}),
        ("SetDefaultPolicyVersion", {"PolicyArn": managed, "VersionId": "v1"}),
        ("CreateRole", {"RoleName": "mine", "AssumeRolePolicyDocument": trust_account(town.security)}),
        ("UpdateAssumeRolePolicy", {"RoleName": "bastide-admin", "PolicyDocument": trust_account(town.security)}),
        ("PutRolePolicy", {"RoleName": "bastide-admin", "PolicyName": "p", "PolicyDocument": everything}),
        ("CreateUser", {"UserName": "second-self"}),
        ("UpdateUser", {"UserName": "dev", "NewUserName": "admin2"}),
        ("TagUser", {"UserName": "dev", "Tags.member.1.Key": "bastide:email", "Tags.member.1.Value": "boss@example.com"}),
        ("PutUserPermissionsBoundary", {"UserName": "dev", "PermissionsBoundary": managed}),
        ("DeleteUserPermissionsBoundary", {"UserName": "dev"}),
        ("CreateLoginProfile", {"UserName": "admin", "Password": PASSWORD}),
        ("UpdateLoginProfile", {"UserName": other, "Password": PASSWORD}),
        ("UpdateLoginProfile", {"UserName": "dev", "Password": PASSWORD}),
        ("CreateAccessKey", {"UserName": other}),
        ("DeactivateMFADevice", {"UserName": other, "SerialNumber": f"arn:aws:iam::{town.security}:mfa/{other}"}),
        ("EnableMFADevice", {"UserName": other, "SerialNumber": f"arn:aws:iam::{town.security}:mfa/dev", "AuthenticationCode1": "123456", "AuthenticationCode2": "123456"}),
        ("CreateVirtualMFADevice", {"VirtualMFADeviceName": other}),
        ("DeleteVirtualMFADevice", {"SerialNumber": f"arn:aws:iam::{town.security}:mfa/{other}"}),
        ("CreateOpenIDConnectProvider", {"Url": "https://evil.example", "ClientIDList.member.1": "x"}),
        ("UpdateAccountPasswordPolicy", {"MinimumPasswordLength": "6"}),
        ("CreateAccountAlias", {"AccountAlias": "mine"}),
        ("CreateServiceLinkedRole", {"AWSServiceName": "ecs.amazonaws.com"}),
    ]:
        status, answer = form(house, dev, "iam", action, **parameters)
        assert status == 403 and "AccessDenied" in answer, f"{action}: {status} {answer}"
    # What is one's own, one manages.
    for action, parameters in [("ListAccessKeys", {"UserName": "dev"}), ("ListMFADevices", {"UserName": "dev"}), ("GetUser", {"UserName": "dev"}),
                               ("CreateVirtualMFADevice", {"VirtualMFADeviceName": "dev"}), ("CreateAccessKey", {"UserName": "dev"}),
                               ("ChangePassword", {"OldPassword": PASSWORD, "NewPassword": PASSWORD + "2"})]:
        status, answer = form(house, dev, "iam", action, **parameters)
        assert status == 200, f"{action}: {answer}"

    # Roles: those of the group, and no other; in security none but what an administrator is given.
    assume(house, dev, f"arn:aws:iam::{town.stage}:role/bastide-developer")
    for account, role in (("stage", "bastide-admin"), ("prod", "bastide-admin"), ("prod", "bastide-developer"), ("security", "bastide-admin"), ("stage", "OrganizationAccountAccessRole")):
        status, answer = form(house, dev, "sts", "AssumeRole", RoleArn=f"arn:aws:iam::{ids[account]}:role/{role}", RoleSessionName="mallory")
        assert status == 403, f"{account}/{role}: {answer}"

    # The administrator of stage is nobody in prod, security and management.
    stage = town.admin["stage"]
    for account in ("prod", "security", "management"):
        for role in ("bastide-admin", "bastide-readonly", "OrganizationAccountAccessRole", "BastideOperator"):
            status, answer = form(house, stage, "sts", "AssumeRole", RoleArn=f"arn:aws:iam::{ids[account]}:role/{role}", RoleSessionName="mallory")
            assert status == 403, f"stage's administrator became {account}/{role}: {answer}"
    status, key = house.json_call(town.admin["prod"], "kms", "TrentService.CreateKey", {})
    arn = key["KeyMetadata"]["Arn"]
    for operation in ("DescribeKey", "GetKeyPolicy", "ScheduleKeyDeletion", "DisableKey"):
        status, answer = house.json_call(stage, "kms", f"TrentService.{operation}", {"KeyId": arn, **({"PolicyName": "default"} if operation == "GetKeyPolicy" else {})})
        assert status == 400 and answer["__type"].endswith(("AccessDeniedException", "NotFoundException")), f"{operation}: {answer}"
    status, answer = house.json_call(stage, "kms", "TrentService.Encrypt", {"KeyId": arn, "Plaintext": "YQ=="})
    assert status == 400 and answer["__type"].endswith("AccessDeniedException"), answer
    for operation, arguments in (("CreateAccount", {"AccountName": "x", "Email": "x@example.com"}), ("MoveAccount", {"AccountId": town.stage, "SourceParentId": "r-abcd", "DestinationParentId": "r-abcd"}),
                                 ("CloseAccount", {"AccountId": town.prod}), ("ListAccounts", {})):
        status, answer = house.json_call(stage, "organizations", f"AWSOrganizationsV20161128.{operation}", arguments)
        assert status == 400, f"stage's administrator: {operation}: {answer}"
    status, answer = house.json_call(stage, "bastide", "Bastide_20261101.ListAuditEvents", {"account": town.prod})
    assert status == 403, answer
    status, answer = house.json_call(stage, "bastide", "Bastide_20261101.ExplainAccess", {"principal": f"arn:aws:iam::{town.prod}:role/bastide-admin", "action": "iam:GetRole", "resource": "*"})
    assert status in (400, 403), answer
    status, answer = house.json_call(stage, "bastide", "Bastide_20261101.ListAuditEvents", {"maxResults": 100})
    assert status == 200 and {e["account"] for e in answer["events"]} <= {town.stage}, answer


with House() as house:
    main(house)
print("ok")
