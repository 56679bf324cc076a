"""What the scenarios share: clients, requests by hand, and what they expect of answers."""

import hashlib
import os
import urllib.error
import urllib.request
import uuid

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions

ENDPOINT = os.environ["S3_ENDPOINT"]
ACCESS, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
READ_ONLY = (os.environ["S3_READ_ACCESS"], os.environ["S3_READ_SECRET"])
MIB = 1 << 20
SCENARIOS = []


def scenario(function):
    SCENARIOS.append(function)
    return function


def client(access=ACCESS, secret=SECRET, **settings):
    config = botocore.config.Config(
        signature_version="s3v4", retries={"max_attempts": 1}, connect_timeout=5, read_timeout=120, **settings
    )
    return boto3.client(
        "s3", endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id=access, aws_secret_access_key=secret,
        config=config,
    )


s3 = client(s3={"addressing_style": "path"})


def bucket():
    name = "b-" + uuid.uuid4().hex[:16]
    s3.create_bucket(Bucket=name)
    return name


def fails(code, status, call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        found = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert found == (code, status), f"expected {(code, status)}, found {found}: {error}"
        return error.response
    raise AssertionError(f"expected {code}, but it succeeded")


def content(size, seed=0):
    block = hashlib.sha256(str(seed).encode()).digest() * 32
    return (block * (size // len(block) + 1))[:size]


def put(name, key, body=b"x", **more):
    return s3.put_object(Bucket=name, Key=key, Body=body, **more)


def get(name, key, **more):
    return s3.get_object(Bucket=name, Key=key, **more)["Body"].read()


def keys(answer):
    return [item["Key"] for item in answer.get("Contents", [])]


def prefixes(answer):
    return [item["Prefix"] for item in answer.get("CommonPrefixes", [])]


def status_of(request):
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code


def code_of(request):
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        body = error.read().decode()
        return body.split("<Code>")[1].split("</Code>")[0] if "<Code>" in body else error.code


def prepared(method, path, body=b"", headers=None, when=None, secret=SECRET, payload=None):
    credentials = botocore.credentials.Credentials(ACCESS, secret)
    request = botocore.awsrequest.AWSRequest(method=method, url=ENDPOINT + path, data=body, headers=headers or {})
    request.headers["x-amz-content-sha256"] = payload or hashlib.sha256(body).hexdigest()
    signer = botocore.auth.S3SigV4Auth(credentials, "s3", "us-east-1")
    digest = request.headers["x-amz-content-sha256"]
    signer.payload = lambda request: digest
    if when is None:
        signer.add_auth(request)
    else:
        real = botocore.auth.get_current_datetime
        botocore.auth.get_current_datetime = lambda *a, **k: when
        try:
            signer.add_auth(request)
        finally:
            botocore.auth.get_current_datetime = real
    return request


def to_urllib(request, method, body):
    headers = {name: value for name, value in request.headers.items()}
    return urllib.request.Request(request.url, data=body or None, method=method, headers=headers)


def signed(method, path, body=b"", headers=None):
    return status_of(to_urllib(prepared(method, path, body, headers), method, body))
