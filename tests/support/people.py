"""An organisation with a security account, a stage account and people, for tests of who may do what."""
import base64
import hashlib
import hmac
import json
import re
import struct
import time
import urllib.parse

from support.house import Credentials


def form(house, credentials, service, action, **parameters):
    """One call of the query protocol: (status, answer)."""
    versions = {"iam": "2010-05-08", "sts": "2011-06-15"}
    body = urllib.parse.urlencode({"Action": action, "Version": versions[service], **parameters})
    status, _, answer = house.signed(credentials, service, headers={"Content-Type": "application/x-www-form-urlencoded"}, body=body)
    return status, answer.decode()


def must(result):
    status, answer = result
    assert status == 200, f"{status}: {answer}"
    return answer


def tag(text, name):
    return re.search(rf"<{name}>([^<]*)</{name}>", text)[1]


def assume(house, credentials, arn, session="test", **more):
    answer = must(form(house, credentials, "sts", "AssumeRole", RoleArn=arn, RoleSessionName=session, **more))
    return Credentials(tag(answer, "AccessKeyId"), tag(answer, "SecretAccessKey").replace("&#x2F;", "/"), tag(answer, "SessionToken"))


def totp(seed, at=None):
    counter = struct.pack(">Q", int((at or time.time()) // 30))
    mac = hmac.new(base64.b32decode(seed + "=" * (-len(seed) % 8)), counter, hashlib.sha1).digest()
    offset = mac[-1] & 15
    return f"{(struct.unpack('>I', mac[offset:offset + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resources="*", **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def trust_account(account):
    return policy({"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"})


class Town:
    """town.security, town.stage: account ids; town.admin["stage"]: credentials of that account's administrator."""

    def __init__(self, house):
        self.house = house
        self.operator = house.operator()
        self.org("CreateOrganization", {"FeatureSet": "ALL"})
        self.management = tag(must(form(house, self.operator, "sts", "GetCallerIdentity")), "Account")
        self.admin = {}
        for name in ("security", "stage", "prod"):
            account = self.make_account(name)
            setattr(self, name, account)
            self.admin[name] = assume(house, self.operator, f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole")
            if name == "security":
                continue
            for role, allowed in (("bastide-admin", "*"), ("bastide-developer", ["iam:List*", "kms:*"])):
                self.iam(name, "CreateRole", RoleName=role, AssumeRolePolicyDocument=trust_account(self.security))
                self.iam(name, "PutRolePolicy", RoleName=role, PolicyName="p", PolicyDocument=policy(allow(allowed)))

    def org(self, operation, arguments):
        status, answer = self.house.json_call(self.operator, "organizations", f"AWSOrganizationsV20161128.{operation}", arguments)
        assert status == 200, answer
        return answer

    def make_account(self, name):
        made = self.org("CreateAccount", {"AccountName": name, "Email": f"{name}@example.com"})["CreateAccountStatus"]
        for _ in range(100):
            if made["State"] != "IN_PROGRESS":
                break
            time.sleep(0.05)
            made = self.org("DescribeCreateAccountStatus", {"CreateAccountRequestId": made["Id"]})["CreateAccountStatus"]
        assert made["State"] == "SUCCEEDED", made
        return made["AccountId"]

    def iam(self, account, action, **parameters):
        return must(form(self.house, self.admin[account], "iam", action, **parameters))

    def person(self, name, password, *roles):
        """A user of the security account that may manage itself and assume these roles."""
        me = f"arn:aws:iam::{self.security}:user/${{aws:username}}"
        statements = [allow(["iam:ChangePassword", "iam:GetUser", "iam:CreateAccessKey", "iam:DeleteAccessKey", "iam:ListAccessKeys", "iam:EnableMFADevice",
                             "iam:DeactivateMFADevice", "iam:ListMFADevices"], me),
                      allow(["iam:CreateVirtualMFADevice", "iam:DeleteVirtualMFADevice"], f"arn:aws:iam::{self.security}:mfa/${{aws:username}}"),
                      allow(["bastide:ListAssumableRoles", "bastide:CreateAccessRequest", "bastide:ListAccessRequests"])]
        if roles:
            statements.append(allow("sts:AssumeRole", list(roles)))
        self.iam("security", "CreateUser", UserName=name)
        self.iam("security", "CreateLoginProfile", UserName=name, Password=password)
        self.iam("security", "PutUserPolicy", UserName=name, PolicyName="self", PolicyDocument=policy(*statements))
        return f"arn:aws:iam::{self.security}:user/{name}"
