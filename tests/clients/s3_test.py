#!/usr/bin/env python3
"""Debian's aws CLI and boto3 against S3: copies, sync, multipart, versions, policies, presigned URLs, kill -9."""
import base64
import hashlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

from support.house import House

try:
    import boto3
    import botocore.exceptions
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config
except ImportError:
    print("skipped: python3-boto3 is not installed")
    sys.exit(77)
if not shutil.which("aws"):
    print("skipped: awscli is not installed")
    sys.exit(77)

MiB = 1 << 20


def client(house, credentials=None, service="s3", **more):
    c = credentials or house.operator()
    return boto3.client(service, endpoint_url=house.endpoint, region_name="us-east-1", aws_access_key_id=c.access_key,
                        aws_secret_access_key=c.secret_key, aws_session_token=c.token,
                        config=Config(retries={"max_attempts": 1}, **more))


def refused(code, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return e
    raise SystemExit(f"{code} was expected")


def fetch(url, data=None, method=None, headers=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers or {}, method=method)) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as e:
        return e.code, e.read(), e.headers


def objects(s3):
    s3.create_bucket(Bucket="box")
    put = s3.put_object(Bucket="box", Key="a b/ü+c.txt", Body=b"hello", Metadata={"author": "ada"}, ContentType="text/plain",
                        CacheControl="max-age=60")
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"', put
    got = s3.get_object(Bucket="box", Key="a b/ü+c.txt")
    assert got["Body"].read() == b"hello" and got["Metadata"] == {"author": "ada"} and got["ContentType"] == "text/plain"
    assert got["CacheControl"] == "max-age=60" and got["ServerSideEncryption"] == "AES256", got
    part = s3.get_object(Bucket="box", Key="a b/ü+c.txt", Range="bytes=1-3")
    assert part["Body"].read() == b"ell" and part["ContentRange"] == "bytes 1-3/5", part
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    refused("InvalidRange", s3.get_object, Bucket="box", Key="a b/ü+c.txt", Range="bytes=9-")
    refused("304", s3.get_object, Bucket="box", Key="a b/ü+c.txt", IfNoneMatch=put["ETag"])
    refused("PreconditionFailed", s3.get_object, Bucket="box", Key="a b/ü+c.txt", IfMatch='"x"')
    refused("NoSuchKey", s3.get_object, Bucket="box", Key="none")
    refused("404", s3.head_object, Bucket="box", Key="none")
    refused("NoSuchBucket", s3.get_object, Bucket="no-such-bucket", Key="k")
    refused("BadDigest", s3.put_object, Bucket="box", Key="bad", Body=b"x", ContentMD5=base64.b64encode(hashlib.md5(b"y").digest()).decode())
    refused("404", s3.head_object, Bucket="box", Key="bad")
    refused("BucketNotEmpty", s3.delete_bucket, Bucket="box")
    copied = s3.copy_object(Bucket="box", Key="copy", CopySource={"Bucket": "box", "Key": "a b/ü+c.txt"})
    assert copied["CopyObjectResult"]["ETag"] == put["ETag"]
    assert s3.head_object(Bucket="box", Key="copy")["Metadata"] == {"author": "ada"}
    s3.put_object_tagging(Bucket="box", Key="copy", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    assert s3.get_object_tagging(Bucket="box", Key="copy")["TagSet"] == [{"Key": "k", "Value": "v"}]
    for n in range(25):
        s3.put_object(Bucket="box", Key=f"list/{n % 5}/{n:02}", Body=b"")
    pages = list(s3.get_paginator("list_objects_v2").paginate(Bucket="box", Prefix="list/", PaginationConfig={"PageSize": 7}))
    assert len(pages) == 4 and [o["Key"] for p in pages for o in p["Contents"]] == sorted(f"list/{n % 5}/{n:02}" for n in range(25))
    prefixes = s3.list_objects_v2(Bucket="box", Prefix="list/", Delimiter="/")
    assert [p["Prefix"] for p in prefixes["CommonPrefixes"]] == [f"list/{n}/" for n in range(5)] and prefixes["KeyCount"] == 5
    old = s3.list_objects(Bucket="box", MaxKeys=1)
    assert old["IsTruncated"] and old["Contents"][0]["Key"] == "a b/ü+c.txt", old
    answer = s3.delete_objects(Bucket="box", Delete={"Objects": [{"Key": f"list/{n % 5}/{n:02}"} for n in range(25)]})
    assert len(answer["Deleted"]) == 25 and "Errors" not in answer


def versions(s3):
    s3.create_bucket(Bucket="old")
    s3.put_object(Bucket="old", Key="k", Body=b"before")
    s3.put_bucket_versioning(Bucket="old", VersioningConfiguration={"Status": "Enabled"})
    one = s3.put_object(Bucket="old", Key="k", Body=b"one")["VersionId"]
    two = s3.put_object(Bucket="old", Key="k", Body=b"two")["VersionId"]
    gone = s3.delete_object(Bucket="old", Key="k")
    assert gone["DeleteMarker"], gone
    refused("NoSuchKey", s3.get_object, Bucket="old", Key="k")
    assert s3.get_object(Bucket="old", Key="k", VersionId=one)["Body"].read() == b"one"
    assert s3.get_object(Bucket="old", Key="k", VersionId="null")["Body"].read() == b"before"
    listed = s3.list_object_versions(Bucket="old")
    assert [v["VersionId"] for v in listed["Versions"]] == [two, one, "null"], listed
    assert listed["DeleteMarkers"][0]["IsLatest"]
    s3.delete_object(Bucket="old", Key="k", VersionId=gone["VersionId"])
    assert s3.get_object(Bucket="old", Key="k")["Body"].read() == b"two"


def multipart(s3, folder):
    path = folder / "large"
    data = os.urandom(21 * MiB + 7)
    path.write_bytes(data)
    config = TransferConfig(multipart_threshold=8 * MiB, multipart_chunksize=8 * MiB, max_concurrency=3)
    s3.upload_file(str(path), "box", "large", Config=config)
    head = s3.head_object(Bucket="box", Key="large")
    parts = [hashlib.md5(data[at:at + 8 * MiB]).digest() for at in range(0, len(data), 8 * MiB)]
    assert head["ETag"] == f'"{hashlib.md5(b"".join(parts)).hexdigest()}-3"', head
    s3.download_file("box", "large", str(folder / "back"), Config=config)
    assert (folder / "back").read_bytes() == data
    assert s3.get_object(Bucket="box", Key="large", Range=f"bytes={8 * MiB - 3}-{8 * MiB + 2}")["Body"].read() == data[8 * MiB - 3:8 * MiB + 3]
    upload = s3.create_multipart_upload(Bucket="box", Key="made")["UploadId"]
    copied = s3.upload_part_copy(Bucket="box", Key="made", UploadId=upload, PartNumber=1, CopySource="box/large",
                                 CopySourceRange=f"bytes=0-{5 * MiB - 1}")["CopyPartResult"]["ETag"]
    last = s3.upload_part(Bucket="box", Key="made", UploadId=upload, PartNumber=2, Body=b"end")["ETag"]
    assert len(s3.list_parts(Bucket="box", Key="made", UploadId=upload)["Parts"]) == 2
    assert s3.list_multipart_uploads(Bucket="box")["Uploads"][0]["Key"] == "made"
    refused("InvalidPart", s3.complete_multipart_upload, Bucket="box", Key="made", UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"no"'}]})
    refused("InvalidPartOrder", s3.complete_multipart_upload, Bucket="box", Key="made", UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 2, "ETag": last}, {"PartNumber": 1, "ETag": copied}]})
    s3.complete_multipart_upload(Bucket="box", Key="made", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": copied}, {"PartNumber": 2, "ETag": last}]})
    assert s3.get_object(Bucket="box", Key="made")["Body"].read() == data[:5 * MiB] + b"end"
    abandoned = s3.create_multipart_upload(Bucket="box", Key="abandoned")["UploadId"]
    s3.abort_multipart_upload(Bucket="box", Key="abandoned", UploadId=abandoned)
    refused("NoSuchUpload", s3.upload_part, Bucket="box", Key="abandoned", UploadId=abandoned, PartNumber=1, Body=b"x")


def access(house, s3):
    url = s3.generate_presigned_url("get_object", {"Bucket": "box", "Key": "copy"}, ExpiresIn=60)
    assert fetch(url)[1] == b"hello"
    assert fetch(url.replace("copy", "large"))[0] == 403
    v2 = client(house, signature_version="s3").generate_presigned_url("get_object", {"Bucket": "box", "Key": "copy"}, ExpiresIn=60)
    assert "AWSAccessKeyId=" in v2 and fetch(v2)[1] == b"hello", v2
    assert fetch(v2.replace("copy", "large"))[0] == 403
    put = client(house, signature_version="s3v4").generate_presigned_url("put_object", {"Bucket": "box", "Key": "by-url"}, ExpiresIn=60)
    assert fetch(put, b"sent", "PUT")[0] == 200
    assert s3.get_object(Bucket="box", Key="by-url")["Body"].read() == b"sent"

    plain = f"{house.endpoint}/box/copy"
    assert fetch(plain)[0] == 403
    everyone = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                                                                   "Resource": "arn:aws:s3:::box/copy"}]})
    refused("AccessDenied", s3.put_bucket_policy, Bucket="box", Policy=everyone)
    s3.delete_public_access_block(Bucket="box")
    s3.put_bucket_policy(Bucket="box", Policy=everyone)
    assert fetch(plain)[1] == b"hello" and fetch(f"{house.endpoint}/box/large")[0] == 403
    assert s3.get_bucket_policy_status(Bucket="box")["PolicyStatus"]["IsPublic"]
    # Path style and virtual-host style are the same bucket.
    assert fetch(f"{house.endpoint}/copy", headers={"Host": f"box.s3.localhost:{house.port}"})[1] == b"hello"

    s3.put_bucket_cors(Bucket="box", CORSConfiguration={"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://*.example"],
                                                                      "AllowedHeaders": ["x-*"], "MaxAgeSeconds": 5}]})
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "X-One"}
    status, _, headers = fetch(plain, method="OPTIONS", headers=ask)
    assert status == 200 and headers["Access-Control-Allow-Origin"] == "https://a.example" and headers["Access-Control-Max-Age"] == "5"
    assert fetch(plain, method="OPTIONS", headers={**ask, "Origin": "https://evil"})[0] == 403
    assert fetch(plain, headers={"Origin": "https://a.example"})[2]["Access-Control-Allow-Origin"] == "https://a.example"

    post = client(house, signature_version="s3v4").generate_presigned_post("box", "posted/${filename}", Conditions=[["content-length-range", 1, 100]], ExpiresIn=60)

    def form(content):
        out = b"".join(f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in post["fields"].items())
        out += b'--B\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\n'
        return fetch(f"{house.endpoint}/box", out + content + b"\r\n--B--\r\n", headers={"Content-Type": "multipart/form-data; boundary=B"})

    assert form(b"from a browser")[0] == 204, form(b"from a browser")
    assert s3.get_object(Bucket="box", Key="posted/f.txt")["Body"].read() == b"from a browser"
    assert form(b"x" * 101)[0] == 400
    post["fields"]["x-amz-meta-more"] = "1"
    assert form(b"x")[0] == 403

    s3.put_bucket_website(Bucket="box", WebsiteConfiguration={"IndexDocument": {"Suffix": "copy"}, "ErrorDocument": {"Key": "copy"}})
    site = {"Host": f"box.s3-website.localhost:{house.port}"}
    assert fetch(f"{house.endpoint}/", headers=site)[:2] == (200, b"hello")
    assert fetch(f"{house.endpoint}/large", headers=site)[:2] == (403, b"hello")

    iam = client(house, service="iam")
    iam.create_user(UserName="reader")
    iam.put_user_policy(UserName="reader", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::box/*"}]}))
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    from support.house import Credentials
    reader = client(house, Credentials(key["AccessKeyId"], key["SecretAccessKey"]))
    assert reader.get_object(Bucket="box", Key="by-url")["Body"].read() == b"sent"
    refused("AccessDenied", reader.put_object, Bucket="box", Key="by-url", Body=b"x")
    refused("AccessDenied", reader.list_objects_v2, Bucket="box")
    refused("AccessDenied", reader.get_object, Bucket="box", Key="none")  # who may not list may not know
    errors = reader.delete_objects(Bucket="box", Delete={"Objects": [{"Key": "by-url"}]})["Errors"]
    assert errors[0]["Code"] == "AccessDenied"


def encrypted(house, s3):
    kms = client(house, service="kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    put = s3.put_object(Bucket="box", Key="sealed", Body=b"s3cret", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert put["SSEKMSKeyId"] == key
    assert s3.get_object(Bucket="box", Key="sealed")["Body"].read() == b"s3cret"
    kms.disable_key(KeyId=key)
    try:
        s3.get_object(Bucket="box", Key="sealed")
        raise SystemExit("a disabled key opened an object")
    except botocore.exceptions.ClientError as e:
        assert "KMS" in e.response["Error"]["Code"], e
    mine = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    s3.put_object(Bucket="box", Key="mine", Body=b"own key", **mine)
    assert s3.get_object(Bucket="box", Key="mine", **mine)["Body"].read() == b"own key"
    refused("InvalidRequest", s3.get_object, Bucket="box", Key="mine")
    for path in pathlib.Path(house.home, "objects").rglob("*"):
        if path.is_file():
            assert b"s3cret" not in path.read_bytes() and path.stat().st_mode & 0o077 == 0, path


def cli(house, folder):
    source = folder / "site"
    (source / "css").mkdir(parents=True)
    (source / "index.html").write_text("<p>hi")
    (source / "css/a.css").write_text("p{}")
    run = lambda *a: house.bastide("aws", "--profile", "operator", *a).stdout
    run("s3", "mb", "s3://site")
    run("s3", "sync", str(source), "s3://site/www")
    assert "css/a.css" in run("s3", "ls", "s3://site/www", "--recursive")
    assert run("s3", "sync", str(source), "s3://site/www").strip() == ""
    (source / "index.html").unlink()
    assert "delete: " in run("s3", "sync", str(source), "s3://site/www", "--delete")
    run("s3", "cp", "s3://site/www/css/a.css", str(folder / "a.css"))
    assert (folder / "a.css").read_text() == "p{}"
    url = run("s3", "presign", "s3://site/www/css/a.css").strip()
    assert fetch(url)[1] == b"p{}", url
    run("s3", "rm", "s3://site", "--recursive")
    run("s3", "rb", "s3://site")


def stacks(house, s3):
    cfn = client(house, service="cloudformation")
    account = client(house, service="sts").get_caller_identity()["Account"]

    def template(**more):
        return json.dumps({"Resources": {
            "Assets": {"Type": "AWS::S3::Bucket", "Properties": {
                "VersioningConfiguration": {"Status": "Enabled"}, "PublicAccessBlockConfiguration": {"BlockPublicAcls": True},
                "BucketEncryption": {"ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
                "LifecycleConfiguration": {"Rules": [{"Status": "Enabled", "Prefix": "tmp/", "ExpirationInDays": 3}]},
                "CorsConfiguration": {"CorsRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAge": 9}]},
                "Tags": [{"Key": "team", "Value": "shop"}], **more}},
            "Policy": {"Type": "AWS::S3::BucketPolicy", "Properties": {"Bucket": {"Ref": "Assets"}, "PolicyDocument": {
                "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject",
                                                        "Resource": {"Fn::Sub": "${Assets.Arn}/*"}, "Condition": {"StringEquals": {"aws:SourceAccount": account}}}]}}}},
            "Outputs": {"Name": {"Value": {"Ref": "Assets"}}, "Domain": {"Value": {"Fn::GetAtt": ["Assets", "RegionalDomainName"]}}}})

    cfn.create_stack(StackName="assets", TemplateBody=template())
    cfn.get_waiter("stack_create_complete").wait(StackName="assets", WaiterConfig={"Delay": 1})
    outputs = {o["OutputKey"]: o["OutputValue"] for o in cfn.describe_stacks(StackName="assets")["Stacks"][0]["Outputs"]}
    name = outputs["Name"]
    assert name.startswith("assets-assets-") and outputs["Domain"] == f"{name}.s3.us-east-1.amazonaws.com", outputs
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"][0]["Expiration"] == {"Days": 3}
    assert s3.get_bucket_cors(Bucket=name)["CORSRules"][0]["MaxAgeSeconds"] == 9
    assert f"{name}/*" in s3.get_bucket_policy(Bucket=name)["Policy"]
    assert {"Key": "team", "Value": "shop"} in s3.get_bucket_tagging(Bucket=name)["TagSet"]
    cfn.update_stack(StackName="assets", TemplateBody=template(VersioningConfiguration={"Status": "Suspended"}))
    cfn.get_waiter("stack_update_complete").wait(StackName="assets", WaiterConfig={"Delay": 1})
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Suspended"
    cfn.delete_stack(StackName="assets")
    cfn.get_waiter("stack_delete_complete").wait(StackName="assets", WaiterConfig={"Delay": 1})
    refused("404", s3.head_bucket, Bucket=name)


# Whatever was acknowledged is there after a kill; whatever was not is there whole, or not at all.
def killed(house):
    acknowledged, stop = {}, threading.Event()

    def write(worker):
        s3, n = client(house, connect_timeout=2, read_timeout=10), 0
        while not stop.is_set():
            key, body = f"k/{worker}/{n}", os.urandom(1000 + n * 977 % 300_000)
            try:
                s3.put_object(Bucket="box", Key=key, Body=body)
                acknowledged[key] = hashlib.md5(body).hexdigest()
            except Exception:
                time.sleep(0.05)
            n += 1

    threads = [threading.Thread(target=write, args=(w,)) for w in range(3)]
    for t in threads:
        t.start()
    time.sleep(2)
    os.kill(house.role_pid("control"), 9)
    time.sleep(2)
    stop.set()
    for t in threads:
        t.join()
    assert len(acknowledged) > 20, len(acknowledged)
    s3 = client(house)
    for key, digest in acknowledged.items():
        assert hashlib.md5(s3.get_object(Bucket="box", Key=key)["Body"].read()).hexdigest() == digest, key
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket="box", Prefix="k/"):
        for one in page.get("Contents", []):
            body = s3.get_object(Bucket="box", Key=one["Key"])["Body"].read()
            assert f'"{hashlib.md5(body).hexdigest()}"' == one["ETag"], one


with House() as house, tempfile.TemporaryDirectory() as temporary:
    s3 = client(house)
    folder = pathlib.Path(temporary)
    objects(s3)
    versions(s3)
    multipart(s3, folder)
    access(house, s3)
    encrypted(house, s3)
    cli(house, folder)
    stacks(house, s3)
    killed(house)
print("ok")
