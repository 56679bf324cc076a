"""Corner cases in the manner of ceph/s3-tests that a client rarely meets: which condition comes first, URLs that were
signed by another clock, checksums of parts, keys at the edge of a page."""

import base64
import datetime
import hashlib
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from support import ACCESS, ENDPOINT, MIB, SECRET, bucket, code_of, content, fails, get, keys, prefixes, put, s3, scenario

HOUR = datetime.timedelta(hours=1)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


@scenario
def tags_come_before_dates():
    # RFC 9110, section 13.2.2: a condition on the tag that is there decides, and the date is not looked at.
    name = bucket()
    etag = put(name, "k", b"one")["ETag"]
    assert get(name, "k", IfMatch=etag, IfUnmodifiedSince=now() - HOUR) == b"one"
    fails("PreconditionFailed", 412, s3.get_object, Bucket=name, Key="k", IfMatch='"x"', IfUnmodifiedSince=now() + HOUR)
    assert get(name, "k", IfNoneMatch='"x"', IfModifiedSince=now() + HOUR) == b"one"
    fails("304", 304, s3.get_object, Bucket=name, Key="k", IfNoneMatch=etag, IfModifiedSince=now() - HOUR)
    fails("304", 304, s3.head_object, Bucket=name, Key="k", IfNoneMatch=etag)
    fails("412", 412, s3.head_object, Bucket=name, Key="k", IfMatch='"x"')


@scenario
def conditions_meet_deleted_keys():
    name = bucket()
    etag = put(name, "k", b"one")["ETag"]
    s3.delete_object(Bucket=name, Key="k")
    fails("NoSuchKey", 404, s3.get_object, Bucket=name, Key="k", IfMatch=etag)
    put(name, "k", b"two", IfNoneMatch="*")
    fails("PreconditionFailed", 412, s3.put_object, Bucket=name, Key="k", Body=b"three", IfMatch=etag)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.delete_object(Bucket=name, Key="k")
    # A marker hides the key: for a condition there is nothing.
    put(name, "k", b"four", IfNoneMatch="*")
    assert get(name, "k") == b"four"


@scenario
def copies_take_conditions_on_their_source():
    name = bucket()
    etag = put(name, "from", b"one")["ETag"]
    source = {"Bucket": name, "Key": "from"}
    s3.copy_object(Bucket=name, Key="to", CopySource=source, CopySourceIfMatch=etag)
    fails("PreconditionFailed", 412, s3.copy_object, Bucket=name, Key="to", CopySource=source, CopySourceIfNoneMatch=etag)
    fails("PreconditionFailed", 412, s3.copy_object, Bucket=name, Key="to", CopySource=source, CopySourceIfMatch='"x"')
    fails("PreconditionFailed", 412, s3.copy_object, Bucket=name, Key="to", CopySource=source,
          CopySourceIfUnmodifiedSince=now() - HOUR)
    fails("PreconditionFailed", 412, s3.copy_object, Bucket=name, Key="to", CopySource=source,
          CopySourceIfModifiedSince=now() + HOUR)
    assert get(name, "to") == b"one"


def presigned(path, when, expires):
    credentials = botocore.credentials.Credentials(ACCESS, SECRET)
    request = botocore.awsrequest.AWSRequest(method="GET", url=ENDPOINT + path)
    real = botocore.auth.get_current_datetime
    botocore.auth.get_current_datetime = lambda *a, **k: when.replace(tzinfo=None)
    try:
        botocore.auth.S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires=expires).add_auth(request)
    finally:
        botocore.auth.get_current_datetime = real
    return urllib.request.Request(request.url)


@scenario
def presigned_urls_know_two_clocks():
    name = bucket()
    put(name, "k")
    # Their own time counts, from when they were signed to when they expire: not the skew of a request.
    for ago, expires, expect in [(60, 7200, 200), (60, 3000, "AccessDenied"), (6 * 24 * 60, 604_800, 200)]:
        found = code_of(presigned(f"/{name}/k", now() - datetime.timedelta(minutes=ago), expires))
        assert found == expect, (ago, expires, found)
    assert code_of(presigned(f"/{name}/k", now() + datetime.timedelta(minutes=5), 600)) == 200
    found = code_of(presigned(f"/{name}/k", now() + datetime.timedelta(minutes=30), 600))
    assert found in ("AccessDenied", "RequestTimeTooSkewed"), found


@scenario
def parts_are_what_they_were_sent_with():
    name = bucket()
    begun = s3.create_multipart_upload(Bucket=name, Key="k", ChecksumAlgorithm="SHA256")["UploadId"]
    part = dict(Bucket=name, Key="k", UploadId=begun, PartNumber=1)
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    fails("BadDigest", 400, s3.upload_part, Body=b"part", ChecksumSHA256=wrong, **part)
    fails("BadDigest", 400, s3.upload_part, Body=b"part", ContentMD5=base64.b64encode(bytes(16)).decode(), **part)
    assert s3.list_parts(Bucket=name, Key="k", UploadId=begun).get("Parts", []) == []
    sent = s3.upload_part(Body=content(5 * MIB), ChecksumAlgorithm="SHA256", **part)
    named = {"PartNumber": 1, "ETag": sent["ETag"], "ChecksumSHA256": wrong}
    fails("InvalidPart", 400, s3.complete_multipart_upload, Bucket=name, Key="k", UploadId=begun,
          MultipartUpload={"Parts": [named]})
    named["ChecksumSHA256"] = sent["ChecksumSHA256"]
    s3.complete_multipart_upload(Bucket=name, Key="k", UploadId=begun, MultipartUpload={"Parts": [named]})
    assert get(name, "k") == content(5 * MIB)


@scenario
def pages_end_in_the_middle_of_a_prefix():
    name = bucket()
    for key in ["a", "b/1", "b/2", "b/3", "b0", "c/", "c/1", "\U0001f9f5"]:
        put(name, key)
    found, token = [], {}
    while True:
        answer = s3.list_objects_v2(Bucket=name, Delimiter="/", MaxKeys=1, **token)
        assert answer["KeyCount"] == 1, answer
        found += keys(answer) + prefixes(answer)
        if not answer["IsTruncated"]:
            break
        token = {"ContinuationToken": answer["NextContinuationToken"]}
    assert found == ["a", "b/", "b0", "c/", "\U0001f9f5"], found
    # A key that is its own prefix is listed, and so is one that ends in the delimiter.
    answer = s3.list_objects_v2(Bucket=name, Prefix="c/", Delimiter="/")
    assert keys(answer) == ["c/", "c/1"] and prefixes(answer) == []
    assert keys(s3.list_objects_v2(Bucket=name, Prefix="b/2")) == ["b/2"]
    answer = s3.list_objects_v2(Bucket=name, StartAfter="b/3", Delimiter="/")
    assert keys(answer)[0] == "b0" and prefixes(answer) == ["c/"], answer


@scenario
def writes_say_what_they_outlive():
    name = bucket()

    def told(answer):
        return answer["ResponseMetadata"]["HTTPHeaders"].get("x-selvedge-durability")

    assert told(put(name, "k")) == "fsync"
    assert told(s3.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": "k"})) == "fsync"
    upload = s3.create_multipart_upload(Bucket=name, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=name, Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert told(s3.complete_multipart_upload(Bucket=name, Key="parts", UploadId=upload, MultipartUpload=parts)) == "fsync"
    assert told(s3.delete_object(Bucket=name, Key="k")) == "fsync"
    assert told(s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "copy"}, {"Key": "parts"}]})) == "fsync"
