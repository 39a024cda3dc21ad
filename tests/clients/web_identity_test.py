#!/usr/bin/env python3
"""AssumeRoleWithWebIdentity against an issuer on loopback: keys by discovery, RS256 and ES256, conditions, lies; and denials that open."""
import html
import json
import os
import re
import shutil
import sys
import tempfile
import time

from support.house import Credentials, House
from support.issuer import Issuer, SigningKey, trust
from support.people import allow, form, must, policy, tag

if not shutil.which("openssl"):
    print("skipped: openssl is not installed")
    sys.exit(77)


def main(house, folder):
    operator = house.operator()
    account = tag(must(form(house, operator, "sts", "GetCallerIdentity")), "Account")
    with Issuer(folder) as issuer:
        provider = f"arn:aws:iam::{account}:oidc-provider/{issuer.host}"
        must(form(house, operator, "iam", "CreateOpenIDConnectProvider", Url=issuer.url, **{"ClientIDList.member.1": "ci", "ThumbprintList.member.1": "0" * 40}))
        document = policy({"Effect": "Allow", "Principal": {"Federated": provider}, "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
                           "Condition": {"StringEquals": {f"{issuer.host}:aud": "ci"}, "StringLike": {f"{issuer.host}:sub": "repo:org/*"}}})
        must(form(house, operator, "iam", "CreateRole", RoleName="deploy", AssumeRolePolicyDocument=document))
        must(form(house, operator, "iam", "PutRolePolicy", RoleName="deploy", PolicyName="p",
                  PolicyDocument=policy(allow("iam:ListUsers"), allow("iam:GetRole", "*", Condition={"StringEquals": {"aws:PrincipalTag/branch": "main"}}))))
        role = f"arn:aws:iam::{account}:role/deploy"

        def assume(token, **more):
            parameters = {"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": role, "RoleSessionName": "ci", "WebIdentityToken": token, **more}
            import urllib.parse
            status, _, body = house.http("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, urllib.parse.urlencode(parameters).encode())
            return status, body.decode()

        def refused(code, token, **more):
            status, answer = assume(token, **more)
            assert status >= 400 and f"<Code>{code}</Code>" in answer, answer

        # A private issuer is not reached until whoever owns the home says so: no token leads into this machine.
        refused("IDPCommunicationError", issuer.token())
        assert not issuer.requests, "an address that is not public was reached"
        trust(house, issuer.url, issuer.ca)

        for key in (0, 1):
            answer = must(assume(issuer.token(key=key)))
            assert tag(answer, "Audience") == "ci" and tag(answer, "SubjectFromWebIdentityToken") == "repo:org/app", answer
        session = Credentials(tag(answer, "AccessKeyId"), tag(answer, "SecretAccessKey").replace("&#x2F;", "/"), tag(answer, "SessionToken"))
        who = must(form(house, session, "sts", "GetCallerIdentity"))
        assert f":assumed-role/deploy/ci</Arn>" in who, who
        must(form(house, session, "iam", "ListUsers"))

        # Tags of the token become the session's.
        denied = form(house, session, "iam", "GetRole", RoleName="deploy")
        assert denied[0] == 403, denied
        tagged = must(assume(issuer.token(**{"https://aws.amazon.com/tags": {"principal_tags": {"branch": ["main"]}, "transitive_tag_keys": ["branch"]}})))
        tagged = Credentials(tag(tagged, "AccessKeyId"), tag(tagged, "SecretAccessKey"), tag(tagged, "SessionToken"))
        must(form(house, tagged, "iam", "GetRole", RoleName="deploy"))

        # A denial's encoded message (of EC2, as in AWS) opens for those who may open it, and says what was asked.
        status, _, answer = house.signed(session, "ec2", headers={"Content-Type": "application/x-www-form-urlencoded"}, body="Action=DescribeVpcs&Version=2016-11-15")
        encoded = re.search(r"Encoded authorization failure message: ([\w-]+)", answer.decode())
        assert status == 403 and b"UnauthorizedOperation" in answer and encoded, answer
        opened = must(form(house, operator, "sts", "DecodeAuthorizationMessage", EncodedMessage=encoded[1]))
        message = json.loads(html.unescape(tag(opened, "DecodedMessage")))
        assert message["allowed"] is False and message["context"]["action"] == "ec2:DescribeVpcs", message
        assert message["context"]["principal"]["arn"].endswith(":assumed-role/deploy/ci"), message
        assert form(house, session, "sts", "DecodeAuthorizationMessage", EncodedMessage=encoded[1])[0] == 403
        status, answer = form(house, operator, "sts", "DecodeAuthorizationMessage", EncodedMessage=encoded[1][:-4] + "AAAA")
        assert status == 400 and "InvalidAuthorizationMessage" in answer, answer

        # Lies.
        good = issuer.token()
        head, claims, signature = good.split(".")
        refused("InvalidIdentityToken", f"{head}.{claims}.{signature[:-8]}AAAAAAAA")
        refused("InvalidIdentityToken", f"{head}.{claims}.")
        refused("InvalidIdentityToken", "not a token")
        refused("InvalidIdentityToken", issuer.token(aud="somebody-else"))
        refused("InvalidIdentityToken", issuer.token(azp="somebody-else"))
        refused("InvalidIdentityToken", issuer.token(iss="https://accounts.example.com"))
        refused("ExpiredTokenException", issuer.token(exp=int(time.time()) - 1))
        refused("InvalidIdentityToken", issuer.token(nbf=int(time.time()) + 3600))
        refused("AccessDenied", issuer.token(sub="repo:evil/app"))
        refused("AccessDenied", issuer.token(), RoleArn=f"arn:aws:iam::{account}:role/none")
        refused("IDPRejectedClaim", issuer.token(**{"https://aws.amazon.com/tags": {"principal_tags": {"aws:AssumedBy": ["x"]}}}))
        refused("ValidationError", issuer.token(), DurationSeconds="7200")
        stranger = SigningKey(folder, "rsa-1", "RS256")  # another key under a name that is known
        refused("InvalidIdentityToken", stranger.sign({"iss": issuer.url, "aud": "ci", "sub": "repo:org/app", "iat": int(time.time()), "exp": int(time.time()) + 60}))

        # Removing the client, then the provider, ends it.
        must(form(house, operator, "iam", "RemoveClientIDFromOpenIDConnectProvider", OpenIDConnectProviderArn=provider, ClientID="ci"))
        refused("InvalidIdentityToken", issuer.token())
        must(form(house, operator, "iam", "DeleteOpenIDConnectProvider", OpenIDConnectProviderArn=provider))
        refused("InvalidIdentityToken", issuer.token())


with House() as house, tempfile.TemporaryDirectory(prefix="bastide-idp-") as folder:
    main(house, folder)
print("ok")
