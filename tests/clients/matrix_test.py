#!/usr/bin/env python3
"""Every implemented operation, tried by everybody who must not: without credentials, with a wrong secret, with a token that has
ended, as a role without the permission, and as the administrator of another account upon this one's things."""
import base64
import datetime
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse

from support.house import BINARY, ROOT, Credentials, House
from support.people import Town, allow, assume, form, must, policy, tag

try:
    import botocore.model
    import botocore.serialize
except ImportError:
    print("skipped: python3-botocore is not installed")
    sys.exit(77)

# What anybody may ask: there is nothing to refuse.
OPEN = {("bastide", "SignIn"), ("bastide", "SignInWithWebIdentity"), ("bastide", "DescribeSignIn"), ("sts", "AssumeRoleWithWebIdentity"), ("sts", "AssumeRoleWithSAML"),
        ("sns", "ConfirmSubscription"), ("sns", "Unsubscribe")}  # whoever has the token, or the link under a message
# What whoever has credentials may ask.
# https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html
NO_PERMISSION = {("sts", "GetCallerIdentity"), ("sts", "GetSessionToken"), ("sts", "GetAccessKeyInfo"),
                 ("s3", "DeleteObjects")}  # each key is refused by itself, in an answer of status 200: s3_test.py
NOBODY = {"MissingAuthenticationToken", "MissingAuthenticationTokenException", "AccessDenied", "AccessDeniedException"}
# Without a signature, a path of CloudFront's is that of a bucket that nobody has.
UNSIGNED_PATH = {"NoSuchBucket", "MethodNotAllowed"}
WRONG = {"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"}  # the last is EC2's
ENDED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "AuthorizationErrorException", "AccessDeniedFault"}
WORDS = ["a", "aa", "aaa", "aaaaaaaa", "a" * 16, "a" * 24, "a" * 32, "a" * 36, "1", "10", "111122223333", "us-east-1", "name-1", "/", "/a/", "/aa", "true", "{}", "a.b",
         "i-0123456789abcdef0", "vpc-0123456789abcdef0", "10.0.0.0/16", "10.0.0.1", "r-abcd", "ou-abcd-12345678", "p-12345678", "o-abcdefghij", "car-" + "a" * 32, "h-" + "a" * 10,
         "0" * 40, "sha256:" + "0" * 64, "0" * 64, "AKIAIOSFODNN7EXAMPLE", "2026-11-22", "a@example.com", "https://example.com", "*", "v1", "123456", "ar-0123456789abcdef",
         "12345678-1234-1234-1234-123456789012", "12345678-1234-1234-1234-1234567890ab", "root", "s3:GetObject", "alias/a", "*/*", "ecs.amazonaws.com", "{\"Version\":\"2012-10-17\"}"]


REAL = {}  # (service, member): a value that is there, where an operation looks for it before it decides


def arn_for(service, account, name):
    name = name.lower()
    kinds = [("role", f"arn:aws:iam::{account}:role/name"), ("user", f"arn:aws:iam::{account}:user/name"), ("openid", f"arn:aws:iam::{account}:oidc-provider/a.example"),
             ("policy", f"arn:aws:iam::{account}:policy/name"), ("serial", f"arn:aws:iam::{account}:mfa/name")]
    for word, arn in kinds:
        if word in name:
            return arn
    return {"kms": f"arn:aws:kms:us-east-1:{account}:key/12345678-1234-1234-1234-123456789012", "iam": f"arn:aws:iam::{account}:role/name",
            "logs": f"arn:aws:logs:us-east-1:{account}:log-group:name", "ecr": f"arn:aws:ecr:us-east-1:{account}:repository/name",
            "ecs": f"arn:aws:ecs:us-east-1:{account}:cluster/name", "sns": f"arn:aws:sns:us-east-1:{account}:name",
            "secretsmanager": f"arn:aws:secretsmanager:us-east-1:{account}:secret:name-abcdef", "ssm": f"arn:aws:ssm:us-east-1:{account}:parameter/name",
            "elbv2": f"arn:aws:elasticloadbalancing:us-east-1:{account}:loadbalancer/app/name/0123456789abcdef",
            "cloudformation": f"arn:aws:cloudformation:us-east-1:{account}:stack/name/12345678-1234-1234-1234-123456789012",
            "bastide": f"arn:aws:iam::{account}:role/name", "cloudfront": f"arn:aws:cloudfront::{account}:distribution/E1234567890ABC"}.get(service, f"arn:aws:{service}:us-east-1:{account}:name/name")


def value(shape, service, account, name, depth=0):
    kind = shape.type_name
    if (service, name) in REAL and kind in ("string", "blob"):
        return REAL[service, name]
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 1 << 30)
    if kind == "structure":
        if depth > 8:
            return {}
        return {m: value(shape.members[m], service, account, m, depth + 1) for m in shape.required_members}
    if kind == "list":
        return [value(shape.member, service, account, name, depth + 1) for _ in range(max(1, low))]
    if kind == "map":
        return {value(shape.key, service, account, name, depth + 1): value(shape.value, service, account, name, depth + 1)}
    if kind == "boolean":
        return True
    if kind in ("integer", "long"):
        return int(max(low, 1))
    if kind in ("float", "double"):
        return float(max(low, 1))
    if kind == "timestamp":
        return datetime.datetime.now(datetime.timezone.utc)
    if kind == "blob":
        return b"a" * max(4, low)
    if getattr(shape, "enum", None):
        return shape.enum[0]
    pattern = shape.metadata.get("pattern")
    wanted = ([arn_for(service, account, name)] if "arn" in (name + shape.name).lower() or name in ("SerialNumber", "principal") else []) + WORDS + [arn_for(service, account, name)]
    for word in wanted:
        if not low <= len(word) <= high:
            continue
        try:
            if pattern and not re.fullmatch(pattern.replace(r"\p{L}", "a-z").replace(r"\p{Z}", " ").replace(r"\p{N}", "0-9").replace(r"\p{M}", ""), word):
                continue
        except re.error:
            pass
        return word
    raise ValueError(f"{shape.name}: nothing fits {pattern}")


def requests_of(service, account):
    """(operation, request) for each implemented operation, as the SDK's own serializer writes it."""
    folder = pathlib.Path(ROOT, "models", service)
    description = json.loads((folder / "service-2.json").read_text())
    protocols = [description["metadata"]["protocol"], *description["metadata"].get("protocols", [])]
    protocol = next(p for p in protocols if p in botocore.serialize.SERIALIZERS)
    model = botocore.model.ServiceModel(description, service)
    serializer = botocore.serialize.create_serializer(protocol, include_validation=False)
    for name in (folder / "implemented").read_text().split():
        operation = model.operation_model(name)
        try:
            given = value(operation.input_shape, service, account, "") if operation.input_shape else {}
            request = serializer.serialize_to_request(given, operation)
        except ValueError as problem:
            yield name, None, str(problem)
            continue
        path = request["url_path"]
        if request["query_string"]:
            query = request["query_string"] if isinstance(request["query_string"], str) else urllib.parse.urlencode(request["query_string"])
            path += ("&" if "?" in path else "?") + query
        body = request["body"]
        if isinstance(body, dict):
            body = urllib.parse.urlencode(body)
        if hasattr(body, "read"):
            body = body.read()
        yield name, (request["method"], path, dict(request["headers"]), body if isinstance(body, bytes) else body.encode()), description["metadata"].get("signingName", description["metadata"]["endpointPrefix"])


def code_of(answer):
    text = answer.decode(errors="replace")
    found = re.search(r"<Code>(?:\w+:)?([\w.]+)</Code>", text) or re.search(r'"(?:__type|code)"\s*:\s*"(?:[\w.]+#)?([\w.]+)', text)
    return found[1] if found else text[:80]


def main(house):
    town = Town(house)
    victim = town.stage
    town.iam("stage", "CreateRole", RoleName="bare", AssumeRolePolicyDocument=policy({"Effect": "Allow", "Principal": {"AWS": town.stage}, "Action": "sts:AssumeRole"}))
    bare = assume(house, town.admin["stage"], f"arn:aws:iam::{victim}:role/bare")
    foreign = town.admin["prod"]
    wrong = Credentials(bare.access_key, "x" * 40, bare.token)
    # Access that ended a moment ago leaves a token that has ended.
    town.person("eve", "Correct-horse-7-battery")
    status, session = house.json_call(Credentials("x", "x"), "bastide", "Bastide_20261101.SignIn", {"userName": "eve", "password": "Correct-horse-7-battery"})
    assert status == 200, session
    eve = Credentials(*(session["credentials"][k] for k in ("accessKeyId", "secretAccessKey", "sessionToken")))
    role = f"arn:aws:iam::{victim}:role/bastide-developer"
    status, asked = house.json_call(eve, "bastide", "Bastide_20261101.CreateAccessRequest", {"roleArn": role, "reason": "a test", "durationSeconds": 3})
    assert status == 200, asked
    status, answer = house.json_call(town.admin["stage"], "bastide", "Bastide_20261101.ApproveAccessRequest", {"requestId": asked["request"]["requestId"]})
    assert status == 200, answer
    ended = assume(house, eve, role)
    time.sleep(3.5)

    status, key = house.json_call(town.admin["stage"], "kms", "TrentService.CreateKey", {})
    arn = key["KeyMetadata"]["Arn"]
    for member in ("KeyId", "TargetKeyId", "SourceKeyId", "DestinationKeyId"):
        REAL["kms", member] = arn
    status, cipher = house.json_call(town.admin["stage"], "kms", "TrentService.Encrypt", {"KeyId": arn, "Plaintext": "YWJj"})
    REAL["kms", "CiphertextBlob"] = base64.b64decode(cipher["CiphertextBlob"])
    status, _, answer = house.signed(town.admin["stage"], "s3", "PUT", "/matrix-bucket")
    assert status == 200, answer
    REAL["s3", "Bucket"] = "matrix-bucket"
    REAL["s3", "CopySource"] = "matrix-bucket/key"

    known = subprocess.run([BINARY, "operations"], capture_output=True, text=True, timeout=60).stdout  # operations_test.py says what lacks
    there = {tuple(line.split()[:2]) for line in known.splitlines()}

    services = sorted(p.parent.name for p in pathlib.Path(ROOT, "models").glob("*/implemented") if p.read_text().strip())
    tried, problems, unmade, undecided = 0, [], [], []
    for service in services:
        for name, request, signing in requests_of(service, victim):
            if request is None:
                unmade.append(f"{service}.{name}: {signing}")
                continue
            if (service, name) in OPEN or (service, name) not in there:
                continue
            method, path, headers, body = request
            if signing == "s3":  # every SDK sends them
                headers["x-amz-content-sha256"] = hashlib.sha256(body).hexdigest()
                headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
            tried += 1

            def ask(credentials):
                if credentials is None:
                    status, _, answer = house.http(method, path, headers, body)
                else:
                    status, _, answer = house.signed(credentials, signing, method, path, headers, body)
                if status >= 400 and method == "HEAD":  # there is no body to say more
                    return status, "AccessDenied" if status == 403 else str(status)
                return status, code_of(answer) if status >= 300 else ""

            for who, credentials, codes in (("nobody", None, NOBODY | UNSIGNED_PATH if service == "cloudfront" else NOBODY), ("a wrong secret", wrong, WRONG), ("a token that ended", ended, ENDED)):
                status, code = ask(credentials)
                if status < 400 or code not in codes and not (method == "HEAD" and status in (400, 403)):
                    problems.append(f"{service}.{name} as {who}: {status} {code}")
            if (service, name) in NO_PERMISSION:
                continue
            status, code = ask(bare)
            if status < 400:
                problems.append(f"{service}.{name} as a role without permission: {status}")
            elif code not in DENIED:
                undecided.append(f"{service}.{name}: {code}")
            # Another account's administrator: this account's things are out of reach by name.
            if victim in body.decode(errors="replace") + path:
                status, code = ask(foreign)
                if status < 300 and not name.startswith(("Simulate", "List", "Describe")):
                    problems.append(f"{service}.{name} as another account's administrator: {status}")
    for line in undecided + unmade:
        print("not a denial:", line)
    print(f"{tried} operations tried, {len(undecided)} answered something else before deciding, {len(unmade)} without a request")
    assert not problems, "\n".join(problems)
    assert len(unmade) <= tried // 50, "too many operations without a request"
    assert len(undecided) <= tried // 20, "too many operations that answer before they decide"


with House() as house:
    main(house)
print("ok")
