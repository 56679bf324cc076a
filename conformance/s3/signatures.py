"""Scenarios of signatures, grants, forms, and nonsense."""

import datetime
import hashlib
import hmac
import os
import time
import urllib.request
import uuid

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions

from support import (
    ACCESS, ENDPOINT, READ_ONLY, SECRET, bucket, client, code_of, content, fails, get, prepared, put, s3,
    scenario, signed, status_of, to_urllib,
)

# Signatures


@scenario
def wrong_signatures_are_refused():
    name = bucket()
    put(name, "k")
    fails("SignatureDoesNotMatch", 403, client(secret="wrong").get_object, Bucket=name, Key="k")
    fails("InvalidAccessKeyId", 403, client(access="SELVAAAAAAAAAAAAAAAA").get_object, Bucket=name, Key="k")
    assert code_of(urllib.request.Request(ENDPOINT + f"/{name}/k")) == "AccessDenied"
    request = to_urllib(prepared("GET", f"/{name}/k"), "GET", b"")
    request.full_url = ENDPOINT + f"/{name}/other"
    assert code_of(request) == "SignatureDoesNotMatch"
    request = to_urllib(prepared("GET", f"/{name}/k"), "GET", b"")
    request.add_header("x-amz-meta-unsigned", "1")
    assert code_of(request) == "AccessDenied"
    request = to_urllib(prepared("PUT", f"/{name}/k", b"right"), "PUT", b"wrong")
    assert code_of(request) == "XAmzContentSHA256Mismatch"
    for bad in ["AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x, SignedHeaders=host, Signature=0", "Basic x", ""]:
        request = to_urllib(prepared("GET", f"/{name}/k"), "GET", b"")
        request.add_header("Authorization", bad)
        assert status_of(request) in (400, 403), bad


@scenario
def skewed_clocks_are_refused():
    name = bucket()
    put(name, "k")
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    for minutes, expect in [(-20, "RequestTimeTooSkewed"), (20, "RequestTimeTooSkewed"), (-10, 200), (10, 200)]:
        when = now + datetime.timedelta(minutes=minutes)
        found = code_of(to_urllib(prepared("GET", f"/{name}/k", when=when), "GET", b""))
        assert found == expect, (minutes, found)


@scenario
def presigned_urls_work_until_they_expire():
    name = bucket()
    url = s3.generate_presigned_url("put_object", Params={"Bucket": name, "Key": "ä b"}, ExpiresIn=60)
    assert status_of(urllib.request.Request(url, data=b"by url", method="PUT")) == 200
    url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "ä b"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"by url"
    assert code_of(urllib.request.Request(url, data=b"x", method="PUT")) == "SignatureDoesNotMatch"
    assert code_of(urllib.request.Request(url.replace("Expires=60", "Expires=90"))) == "SignatureDoesNotMatch"
    url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "ä b"}, ExpiresIn=1)
    time.sleep(2.2)
    assert code_of(urllib.request.Request(url)) == "AccessDenied"
    url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "ä b"}, ExpiresIn=604801)
    assert code_of(urllib.request.Request(url)) == "AuthorizationQueryParametersError"


def chunked_body(request, chunks, tamper=None):
    """Signs chunks as STREAMING-AWS4-HMAC-SHA256-PAYLOAD has it."""
    authorization = request.headers["Authorization"]
    previous = authorization.split("Signature=")[1]
    date = request.headers["X-Amz-Date"]
    scope = authorization.split("Credential=")[1].split(",")[0].split("/", 1)[1]
    key = f"AWS4{SECRET}".encode()
    for step in scope.split("/"):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    empty, out = hashlib.sha256(b"").hexdigest(), b""
    for n, chunk in enumerate(chunks + [b""]):
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", date, scope, previous, empty, hashlib.sha256(chunk).hexdigest()])
        previous = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        shown = tamper(n, previous, chunk) if tamper else (previous, chunk)
        out += f"{len(chunk):x};chunk-signature={shown[0]}\r\n".encode() + shown[1] + b"\r\n"
    return out


def send_chunks(name, chunks, tamper=None, cut=None, length=None):
    length = str(sum(map(len, chunks)) if length is None else length)
    request = prepared("PUT", f"/{name}/k", payload="STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                       headers={"x-amz-decoded-content-length": length, "content-encoding": "aws-chunked"})
    body = chunked_body(request, chunks, tamper)
    return code_of(to_urllib(request, "PUT", body[:cut] if cut else body))


@scenario
def signed_chunks_are_checked():
    name = bucket()
    chunks = [content(65536, 1), content(65536, 2), content(100, 3)]
    assert send_chunks(name, chunks) == 200
    assert get(name, "k") == b"".join(chunks)
    head = s3.head_object(Bucket=name, Key="k")
    assert "ContentEncoding" not in head, head
    assert send_chunks(name, chunks, lambda n, s, c: (s, c[:-1] + b"!") if n == 1 else (s, c)) == "SignatureDoesNotMatch"
    assert send_chunks(name, chunks, lambda n, s, c: ("0" * 64, c) if n == 2 else (s, c)) == "SignatureDoesNotMatch"
    assert send_chunks(name, chunks, cut=70000) == "IncompleteBody"
    assert send_chunks(name, chunks, cut=-95) == "IncompleteBody"
    assert send_chunks(name, chunks, length=5) == "IncompleteBody"
    assert get(name, "k") == b"".join(chunks), "what failed changed nothing"


@scenario
def trailers_are_checked():
    name = bucket()

    def send(trailer):
        request = prepared("PUT", f"/{name}/k", payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER", headers={
            "x-amz-decoded-content-length": "9", "content-encoding": "aws-chunked",
            "x-amz-trailer": "x-amz-checksum-crc32"})
        body = b"9\r\n123456789\r\n0\r\n" + trailer + b"\r\n"
        return code_of(to_urllib(request, "PUT", body))

    assert send(b"x-amz-checksum-crc32:y/Q5Jg==\r\n") == 200
    assert get(name, "k") == b"123456789"
    assert send(b"x-amz-checksum-crc32:AAAAAA==\r\n") == "BadDigest"
    assert send(b"x-amz-checksum-crc32:AAAA\r\n") == "BadDigest"
    assert send(b"") == "BadDigest"


@scenario
def keys_open_what_they_grant():
    name = os.environ["S3_READ_BUCKET"]
    try:
        s3.create_bucket(Bucket=name)
    except botocore.exceptions.ClientError:
        pass
    put(name, "k", b"x")
    reader = client(*READ_ONLY)
    assert reader.get_object(Bucket=name, Key="k")["Body"].read() == b"x"
    fails("AccessDenied", 403, reader.put_object, Bucket=name, Key="k", Body=b"y")
    fails("AccessDenied", 403, reader.delete_object, Bucket=name, Key="k")
    fails("AccessDenied", 403, reader.list_objects_v2, Bucket=name)
    fails("AccessDenied", 403, reader.get_object, Bucket=bucket(), Key="k")
    fails("AccessDenied", 403, reader.create_bucket, Bucket="new-one")
    assert [b["Name"] for b in reader.list_buckets()["Buckets"]] == [name]


@scenario
def virtual_hosts_name_buckets():
    name = bucket()
    port = ENDPOINT.rsplit(":", 1)[1]
    request = urllib.request.Request(s3.generate_presigned_url("list_objects_v2", Params={"Bucket": name}))
    assert status_of(request) == 200
    credentials = botocore.credentials.Credentials(ACCESS, SECRET)
    host = f"{name}.s3.localhost:{port}"
    asked = botocore.awsrequest.AWSRequest(method="PUT", url=f"http://{host}/a/b", data=b"virtual")
    asked.headers["x-amz-content-sha256"] = hashlib.sha256(b"virtual").hexdigest()
    botocore.auth.S3SigV4Auth(credentials, "s3", "us-east-1").add_auth(asked)
    headers = dict(asked.headers.items()) | {"Host": host}
    assert status_of(urllib.request.Request(ENDPOINT + "/a/b", data=b"virtual", method="PUT", headers=headers)) == 200
    assert get(name, "a/b") == b"virtual"


def post(fields, body, name):
    boundary, out = uuid.uuid4().hex, b""
    for field, value in fields:
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
    out += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="photo.png"\r\n\r\n'.encode()
    out += body + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return urllib.request.Request(f"{ENDPOINT}/{name}", data=out, method="POST", headers=headers)


@scenario
def forms_are_taken_with_a_policy():
    name = bucket()
    made = s3.generate_presigned_post(name, "up/${filename}", Fields={"Content-Type": "image/png"}, Conditions=[
        {"Content-Type": "image/png"}, ["content-length-range", 1, 1000]])
    fields = list(made["fields"].items())
    assert status_of(post(fields, b"picture", name)) == 204
    assert get(name, "up/photo.png") == b"picture"
    assert s3.head_object(Bucket=name, Key="up/photo.png")["ContentType"] == "image/png"
    large = content(200000)
    assert code_of(post(fields, large, name)) == "EntityTooLarge"
    assert code_of(post(fields, b"", name)) == "EntityTooSmall"
    assert code_of(post(fields + [("x-amz-meta-extra", "1")], b"x", name)) == "AccessDenied"
    assert code_of(post([(f, "elsewhere/x" if f == "key" else v) for f, v in fields], b"x", name)) == "AccessDenied"
    assert code_of(post([(f, "0" * 64 if f.lower() == "x-amz-signature" else v) for f, v in fields], b"x", name)) == "SignatureDoesNotMatch"
    assert code_of(post([], b"x", name)) == "AccessDenied"
    made = s3.generate_presigned_post(name, "k", ExpiresIn=-1)
    assert code_of(post(list(made["fields"].items()), b"x", name)) == "AccessDenied"


@scenario
def nonsense_is_an_error_and_no_more():
    name = bucket()
    put(name, "k")
    for method, path, body in [
        ("PUT", f"/{name}?versioning", b"<nonsense"),
        ("PUT", f"/{name}?versioning", b"<VersioningConfiguration><Status>Maybe</Status></VersioningConfiguration>"),
        ("POST", f"/{name}?delete", b"<Delete></Delete>"),
        ("POST", f"/{name}?delete", b"\xff\xfe"),
        ("PUT", f"/{name}?lifecycle", b"<LifecycleConfiguration><Rule/></LifecycleConfiguration>"),
        ("PUT", f"/{name}?cors", b"<CORSConfiguration><CORSRule/></CORSConfiguration>"),
        ("POST", f"/{name}/k?uploadId=x", b"<CompleteMultipartUpload/>"),
        ("PUT", f"/{name}/k?tagging", b"<Tagging/>"),
        ("GET", f"/{name}?encoding-type=rot13", b""),
        ("PUT", f"/{name}?lifecycle", b'<!DOCTYPE x [<!ENTITY a "aaaa">]><LifecycleConfiguration>&a;</LifecycleConfiguration>'),
    ]:
        assert signed(method, path, body) == 400, (method, path, body)
    assert signed("PUT", f"/{name}?acl", b"<x/>") == 501
    assert signed("PATCH", f"/{name}/k", b"x") == 405
    fails("InvalidBucketName", 400, client(parameter_validation=False).create_bucket, Bucket="Upper_Case")
    assert get(name, "k") == b"x"
