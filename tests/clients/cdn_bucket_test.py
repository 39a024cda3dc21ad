#!/usr/bin/env python3
"""A bucket behind a distribution: closed to everybody else, compressed at the edge, off and gone."""
import json
import sys

from support.house import House

try:
    import boto3
    from support.viewer import Viewer, behavior, refused, wait
except ImportError:
    print("skipped: python3-boto3 is not installed")
    sys.exit(77)

with House() as house:
    operator = house.operator()

    def client(service):
        return boto3.client(service, endpoint_url=house.endpoint, region_name="us-east-1", aws_access_key_id=operator.access_key,
                            aws_secret_access_key=operator.secret_key, aws_session_token=operator.token)

    cf, edge = client("cloudfront"), Viewer(house)

    # A bucket that nobody but the distribution may read.
    s3 = client("s3")
    bucket = "cdn-test-bucket"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="css/a.css", Body=b"body { margin: 0 }\n" * 200, ContentType="text/css")
    oac = cf.create_origin_access_control(OriginAccessControlConfig={
        "Name": "oac", "SigningProtocol": "sigv4", "SigningBehavior": "always", "OriginAccessControlOriginType": "s3"})["OriginAccessControl"]["Id"]
    made = cf.create_distribution(DistributionConfig={
        "CallerReference": "two", "Comment": "", "Enabled": True, "DefaultCacheBehavior": behavior("b"),
        "Origins": {"Quantity": 1, "Items": [{"Id": "b", "DomainName": f"{bucket}.s3.us-east-1.amazonaws.com",
                                              "OriginAccessControlId": oac, "S3OriginConfig": {"OriginAccessIdentity": ""}}]}})
    two, two_etag = made["Distribution"], made["ETag"]
    wait("Deployed", lambda: cf.get_distribution(Id=two["Id"])["Distribution"]["Status"] == "Deployed")
    status, headers, _ = edge.get(two["DomainName"], "/css/a.css")
    assert status == 403 and headers["x-bastide-layer"].startswith("origin;"), (status, headers)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"AWS:SourceArn": two["ARN"]}}}]}))
    status, headers, plain = edge.get(two["DomainName"], "/css/a.css")
    assert status == 200 and len(plain) == 3800, (status, headers)
    status, headers, packed = edge.get(two["DomainName"], "/css/a.css", {"Accept-Encoding": "gzip, br"})
    assert headers["content-encoding"] == "br" and len(packed) < 300, headers
    assert house.http("GET", f"/{bucket}/css/a.css")[0] == 403  # nobody else
    print("closed bucket: the distribution alone reads it")

    # What is off is gone, and can be deleted.
    two_config = cf.get_distribution_config(Id=two["Id"])["DistributionConfig"]
    refused("DistributionNotDisabled", lambda: cf.delete_distribution(Id=two["Id"], IfMatch=two_etag))
    two_etag = cf.update_distribution(Id=two["Id"], IfMatch=two_etag, DistributionConfig={**two_config, "Enabled": False})["ETag"]
    wait("off", lambda: edge.get(two["DomainName"], "/css/a.css")[0] == 404)
    cf.delete_distribution(Id=two["Id"], IfMatch=two_etag)
    refused("NoSuchDistribution", lambda: cf.get_distribution(Id=two["Id"]))
    print("ok")
