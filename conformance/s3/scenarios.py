"""Scenarios of the S3 protocol, driven by boto3 and, where a client would not do it, by hand.

Each function is one scenario. Run with the endpoint and keys in the environment; prints one JSON
object a line: {"name": …, "ok": …, "why": …}.
"""

import base64
import concurrent.futures
import datetime
import hashlib
import io
import json
import sys
import traceback
import urllib.request
import zlib

import boto3.s3.transfer
import boto3
import botocore.exceptions

import corners  # noqa: F401, registers its scenarios
import signatures  # noqa: F401, the same
from support import (
    ENDPOINT, MIB, SCENARIOS, bucket, client, content, fails, get, keys, prefixes, put, s3, scenario, signed,
    status_of,
)

# Buckets


@scenario
def buckets_are_made_listed_and_deleted():
    name = bucket()
    assert name in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    s3.head_bucket(Bucket=name)
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    fails("BucketAlreadyOwnedByYou", 409, s3.create_bucket, Bucket=name)
    put(name, "k")
    fails("BucketNotEmpty", 409, s3.delete_bucket, Bucket=name)
    s3.delete_object(Bucket=name, Key="k")
    s3.delete_bucket(Bucket=name)
    fails("404", 404, s3.head_bucket, Bucket=name)
    fails("NoSuchBucket", 404, s3.list_objects_v2, Bucket=name)
    fails("NoSuchBucket", 404, s3.put_object, Bucket=name, Key="k", Body=b"")


@scenario
def bucket_tags_come_back():
    name = bucket()
    fails("NoSuchTagSet", 404, s3.get_bucket_tagging, Bucket=name)
    tags = [{"Key": "team", "Value": "web"}]
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=name)["TagSet"] == tags
    s3.delete_bucket_tagging(Bucket=name)
    fails("NoSuchTagSet", 404, s3.get_bucket_tagging, Bucket=name)


# Objects


@scenario
def objects_come_back_as_they_were_put():
    name = bucket()
    for size in [0, 1, 1000, 65536, 65537, 300000, 6 * MIB]:
        body = content(size, size)
        answer = put(name, "k", body, ContentType="text/x", CacheControl="max-age=1", ContentDisposition="inline",
                     ContentLanguage="de", ContentEncoding="x", Metadata={"a": "b", "c": ""})
        assert answer["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
        found = s3.get_object(Bucket=name, Key="k")
        assert found["Body"].read() == body
        assert found["ContentLength"] == size and found["ContentType"] == "text/x" and found["CacheControl"] == "max-age=1"
        assert found["ContentDisposition"] == "inline" and found["ContentLanguage"] == "de"
        assert found["ContentEncoding"] == "x" and found["Metadata"] == {"a": "b", "c": ""}
        head = s3.head_object(Bucket=name, Key="k")
        assert head["ETag"] == answer["ETag"] and head["ContentLength"] == size and head["AcceptRanges"] == "bytes"
    assert found["ServerSideEncryption"] == "AES256"


@scenario
def missing_keys_are_not_found():
    name = bucket()
    fails("NoSuchKey", 404, s3.get_object, Bucket=name, Key="none")
    fails("404", 404, s3.head_object, Bucket=name, Key="none")
    s3.delete_object(Bucket=name, Key="none")


@scenario
def keys_may_hold_almost_anything():
    name = bucket()
    odd = ["a b", "a+b", "a%20b", "ä/é", "\U0001f600", "a//b", "/a", "a/", "a/../b", "./x", "a/./b",
           "../x", "..", ".", "a/..", "//", "a&b=c?d#e", "'quoted' \"twice\"", "a\tb",
           "~!@$^*()_-;:,.<>|{}[]", "k" * 1024, "ä" * 512]
    for key in odd:
        put(name, key, key.encode())
    for key in odd:
        assert get(name, key) == key.encode(), key
    assert sorted(keys(s3.list_objects_v2(Bucket=name)), key=str.encode) == sorted(odd, key=str.encode)
    fails("KeyTooLongError", 400, s3.put_object, Bucket=name, Key="k" * 1025, Body=b"")
    fails("KeyTooLongError", 400, s3.put_object, Bucket=name, Key="ä" * 513, Body=b"")


@scenario
def paths_in_keys_lead_nowhere():
    name = bucket()
    for key in ["../../etc/passwd", "a/../../b", "..", "./x"]:
        try:
            put(name, key, b"x")
            assert get(name, key) == b"x"
        except botocore.exceptions.ClientError as error:
            # A path that leaves the root is refused, and one that a URL parser changes does not have the signature.
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403, 405), error
    raw = urllib.request.Request(ENDPOINT + f"/{name}/a%00b", method="GET")
    assert status_of(raw) in (400, 403)


@scenario
def ranges_are_those_of_http():
    name = bucket()
    body = content(200000)
    put(name, "k", body)
    for field, first, last in [("bytes=0-0", 0, 1), ("bytes=100-", 100, 200000), ("bytes=-5", 199995, 200000),
                               ("bytes=65530-65545", 65530, 65546), ("bytes=199999-300000", 199999, 200000)]:
        answer = s3.get_object(Bucket=name, Key="k", Range=field)
        assert answer["Body"].read() == body[first:last], field
        assert answer["ContentRange"] == f"bytes {first}-{last - 1}/200000"
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 206
    fails("InvalidRange", 416, s3.get_object, Bucket=name, Key="k", Range="bytes=200000-")
    assert len(s3.get_object(Bucket=name, Key="k", Range="bytes=9-1")["Body"].read()) == 200000
    put(name, "empty", b"")
    fails("InvalidRange", 416, s3.get_object, Bucket=name, Key="empty", Range="bytes=0-1")


@scenario
def response_fields_can_be_overridden():
    name = bucket()
    put(name, "k")
    answer = s3.get_object(Bucket=name, Key="k", ResponseContentType="text/y", ResponseCacheControl="no-store",
                           ResponseContentDisposition="attachment")
    assert answer["ContentType"] == "text/y" and answer["CacheControl"] == "no-store"
    assert answer["ContentDisposition"] == "attachment"


@scenario
def many_keys_are_deleted_at_once():
    name = bucket()
    for n in range(5):
        put(name, f"k{n}")
    wanted = [{"Key": f"k{n}"} for n in range(4)] + [{"Key": "none"}]
    answer = s3.delete_objects(Bucket=name, Delete={"Objects": wanted})
    assert sorted(d["Key"] for d in answer["Deleted"]) == ["k0", "k1", "k2", "k3", "none"]
    assert keys(s3.list_objects_v2(Bucket=name)) == ["k4"]
    answer = s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "k4"}], "Quiet": True})
    assert "Deleted" not in answer
    fails("MalformedXML", 400, s3.delete_objects, Bucket=name,
          Delete={"Objects": [{"Key": f"k{n}"} for n in range(1001)]})


# Conditions


@scenario
def reads_take_conditions():
    name = bucket()
    etag = put(name, "k", b"one")["ETag"]
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    assert get(name, "k", IfMatch=etag) == b"one"
    fails("PreconditionFailed", 412, s3.get_object, Bucket=name, Key="k", IfMatch='"x"')
    fails("304", 304, s3.get_object, Bucket=name, Key="k", IfNoneMatch=etag)
    assert get(name, "k", IfNoneMatch='"x"') == b"one"
    assert get(name, "k", IfModifiedSince=past) == b"one"
    fails("304", 304, s3.get_object, Bucket=name, Key="k", IfModifiedSince=future)
    assert get(name, "k", IfUnmodifiedSince=future) == b"one"
    fails("PreconditionFailed", 412, s3.get_object, Bucket=name, Key="k", IfUnmodifiedSince=past)


@scenario
def writes_take_conditions():
    name = bucket()
    fails("PreconditionFailed", 412, s3.put_object, Bucket=name, Key="k", Body=b"x", IfMatch='"x"')
    etag = put(name, "k", b"one", IfNoneMatch="*")["ETag"]
    fails("PreconditionFailed", 412, s3.put_object, Bucket=name, Key="k", Body=b"two", IfNoneMatch="*")
    fails("PreconditionFailed", 412, s3.put_object, Bucket=name, Key="k", Body=b"two", IfMatch='"x"')
    put(name, "k", b"two", IfMatch=etag)
    assert get(name, "k") == b"two"


@scenario
def of_writers_that_race_one_wins():
    name = bucket()

    def attempt(n):
        try:
            client().put_object(Bucket=name, Key="lock", Body=str(n).encode(), IfNoneMatch="*")
            return n
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed", error
            return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        winners = [n for n in pool.map(attempt, range(8)) if n is not None]
    assert len(winners) == 1 and get(name, "lock") == str(winners[0]).encode()


# Checksums


@scenario
def checksums_are_kept_and_checked():
    name = bucket()
    body = content(100000)
    for algorithm in ["CRC32", "SHA1", "SHA256"]:
        answer = put(name, "k", body, ChecksumAlgorithm=algorithm)
        field = f"Checksum{algorithm}"
        assert answer[field], answer
        head = s3.head_object(Bucket=name, Key="k", ChecksumMode="ENABLED")
        assert head[field] == answer[field]
        assert s3.get_object(Bucket=name, Key="k", ChecksumMode="ENABLED")["Body"].read() == body
    right = base64.b64encode(hashlib.sha256(body).digest()).decode()
    put(name, "k", body, ChecksumSHA256=right)
    wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    fails("BadDigest", 400, s3.put_object, Bucket=name, Key="k", Body=b"new", ChecksumSHA256=wrong)
    fails("BadDigest", 400, s3.put_object, Bucket=name, Key="k", Body=b"new",
          ContentMD5=base64.b64encode(hashlib.md5(b"other").digest()).decode())
    fails("InvalidDigest", 400, s3.put_object, Bucket=name, Key="k", Body=b"new", ContentMD5="AAAA")
    assert get(name, "k") == body


@scenario
def crcs_that_clients_name_are_checked():
    name = bucket()
    # The check values of "123456789".
    for header, value in [("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888")]:
        text = base64.b64encode(bytes.fromhex(value)).decode()
        assert signed("PUT", f"/{name}/k", b"123456789", {f"x-amz-checksum-{header}": text}) == 200, header
        text = base64.b64encode(bytes(len(value) // 2)).decode()
        assert signed("PUT", f"/{name}/k", b"123456789", {f"x-amz-checksum-{header}": text}) == 400, header


# Lists


def tree(name):
    for key in ["asdf", "boo/bar", "boo/baz/xyzzy", "cquux/thud", "cquux/bla", "quuz"]:
        put(name, key)


@scenario
def lists_group_by_delimiters():
    name = bucket()
    tree(name)
    answer = s3.list_objects_v2(Bucket=name, Delimiter="/")
    assert keys(answer) == ["asdf", "quuz"] and prefixes(answer) == ["boo/", "cquux/"] and answer["KeyCount"] == 4
    answer = s3.list_objects_v2(Bucket=name, Delimiter="/", Prefix="boo/")
    assert keys(answer) == ["boo/bar"] and prefixes(answer) == ["boo/baz/"]
    answer = s3.list_objects_v2(Bucket=name, Delimiter="/", Prefix="boo")
    assert keys(answer) == [] and prefixes(answer) == ["boo/"]
    answer = s3.list_objects_v2(Bucket=name, Delimiter="a")
    assert prefixes(answer) == ["a", "boo/ba", "cquux/bla"] and keys(answer) == ["cquux/thud", "quuz"]
    answer = s3.list_objects_v2(Bucket=name, Delimiter="%")
    assert len(keys(answer)) == 6 and prefixes(answer) == []
    answer = s3.list_objects_v2(Bucket=name, Delimiter="", Prefix="b")
    assert keys(answer) == ["boo/bar", "boo/baz/xyzzy"]
    answer = s3.list_objects_v2(Bucket=name, Delimiter="oo/ba")
    assert prefixes(answer) == ["boo/ba"]


@scenario
def lists_are_paged():
    name = bucket()
    tree(name)
    for style in ["list_objects_v2", "list_objects"]:
        for size in [1, 2, 100]:
            pages = s3.get_paginator(style).paginate(Bucket=name, Delimiter="/", PaginationConfig={"PageSize": size})
            entries = [e for page in pages for e in keys(page) + prefixes(page)]
            assert sorted(entries) == ["asdf", "boo/", "cquux/", "quuz"], (style, size, entries)
            pages = s3.get_paginator(style).paginate(Bucket=name, PaginationConfig={"PageSize": size})
            assert len([k for page in pages for k in keys(page)]) == 6, (style, size)


@scenario
def lists_begin_behind_a_key():
    name = bucket()
    tree(name)
    assert keys(s3.list_objects_v2(Bucket=name, StartAfter="boo/baz/xyzzy")) == ["cquux/bla", "cquux/thud", "quuz"]
    assert keys(s3.list_objects_v2(Bucket=name, StartAfter="zzz")) == []
    assert keys(s3.list_objects_v2(Bucket=name, StartAfter="blah"))[0] == "boo/bar"
    answer = s3.list_objects_v2(Bucket=name, StartAfter="boo/bar", Delimiter="/")
    assert prefixes(answer) == ["boo/", "cquux/"]
    answer = s3.list_objects(Bucket=name, Marker="boo/", Delimiter="/")
    assert prefixes(answer) == ["cquux/"] and keys(answer) == ["quuz"]
    assert keys(s3.list_objects(Bucket=name, Marker="cquux/thud")) == ["quuz"]


@scenario
def lists_refuse_what_they_do_not_know():
    name = bucket()
    tree(name)
    fails("InvalidArgument", 400, s3.list_objects_v2, Bucket=name, ContinuationToken="nonsense")
    assert signed("GET", f"/{name}?list-type=2&max-keys=blah") == 400
    assert signed("GET", f"/{name}?list-type=2&max-keys=-1") == 400
    answer = s3.list_objects_v2(Bucket=name, MaxKeys=0)
    assert keys(answer) == [] and not answer["IsTruncated"]
    token = s3.list_objects_v2(Bucket=name, MaxKeys=1)["NextContinuationToken"]
    fails("InvalidArgument", 400, s3.list_objects_v2, Bucket=name, ContinuationToken=token, Prefix="q")


@scenario
def lists_tell_what_they_list():
    name = bucket()
    put(name, "a", b"abc")
    item = s3.list_objects_v2(Bucket=name, FetchOwner=True)["Contents"][0]
    assert item["Size"] == 3 and item["ETag"] == f'"{hashlib.md5(b"abc").hexdigest()}"' and item["Owner"]["ID"]
    assert item["StorageClass"] == "STANDARD"
    assert "Owner" not in s3.list_objects_v2(Bucket=name)["Contents"][0]
    put(name, "a\x01b")
    assert keys(s3.list_objects_v2(Bucket=name)) == ["a", "a\x01b"]


# Multipart


def upload(name, key, parts, **more):
    begun = s3.create_multipart_upload(Bucket=name, Key=key, **more)["UploadId"]
    done = []
    for number, body in parts:
        chosen = {k: v for k, v in more.items() if k == "ChecksumAlgorithm"}
        answer = s3.upload_part(Bucket=name, Key=key, UploadId=begun, PartNumber=number, Body=body, **chosen)
        part = {"PartNumber": number, "ETag": answer["ETag"]}
        part.update({k: v for k, v in answer.items() if k.startswith("Checksum")})
        done.append(part)
    return begun, done


def complete(name, key, begun, done, **more):
    return s3.complete_multipart_upload(Bucket=name, Key=key, UploadId=begun, MultipartUpload={"Parts": done}, **more)


@scenario
def parts_become_an_object():
    name = bucket()
    first, second, last = content(5 * MIB, 1), content(6 * MIB, 2), content(100, 3)
    begun, done = upload(name, "k", [(9, last), (2, second), (1, first)], Metadata={"a": "b"}, ContentType="x/y")
    fails("InvalidPartOrder", 400, complete, name=name, key="k", begun=begun, done=done)
    listed = s3.list_parts(Bucket=name, Key="k", UploadId=begun)
    assert [p["PartNumber"] for p in listed["Parts"]] == [1, 2, 9] and listed["Parts"][1]["Size"] == 6 * MIB
    listed = s3.list_parts(Bucket=name, Key="k", UploadId=begun, MaxParts=1, PartNumberMarker=1)
    assert [p["PartNumber"] for p in listed["Parts"]] == [2] and listed["IsTruncated"]
    fails("NoSuchKey", 404, s3.get_object, Bucket=name, Key="k")
    done.sort(key=lambda part: part["PartNumber"])
    answer = complete(name, "k", begun, done)
    digests = b"".join(hashlib.md5(part).digest() for part in [first, second, last])
    assert answer["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    found = s3.get_object(Bucket=name, Key="k")
    assert found["Body"].read() == first + second + last and found["Metadata"] == {"a": "b"}
    assert found["ContentType"] == "x/y"
    across = s3.get_object(Bucket=name, Key="k", Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")["Body"].read()
    assert across == first[-2:] + second[:2]
    fails("NoSuchUpload", 404, complete, name=name, key="k", begun=begun, done=done)


@scenario
def uploads_refuse_wrong_parts():
    name = bucket()
    begun, done = upload(name, "k", [(1, b"small"), (2, b"last")])
    fails("EntityTooSmall", 400, complete, name=name, key="k", begun=begun, done=done)
    fails("InvalidPart", 400, complete, name=name, key="k", begun=begun,
          done=[{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}])
    fails("InvalidPart", 400, complete, name=name, key="k", begun=begun,
          done=[{"PartNumber": 5, "ETag": done[0]["ETag"]}])
    fails("InvalidArgument", 400, s3.upload_part, Bucket=name, Key="k", UploadId=begun, PartNumber=0, Body=b"")
    fails("InvalidArgument", 400, s3.upload_part, Bucket=name, Key="k", UploadId=begun, PartNumber=10001, Body=b"")
    fails("NoSuchUpload", 404, s3.upload_part, Bucket=name, Key="k", UploadId="none", PartNumber=1, Body=b"")
    fails("NoSuchUpload", 404, s3.upload_part, Bucket=name, Key="other", UploadId=begun, PartNumber=1, Body=b"")
    assert complete(name, "k", begun, done[1:])["ETag"].endswith('-1"')


@scenario
def a_part_may_come_again():
    name = bucket()
    begun, _ = upload(name, "k", [(1, b"old")])
    answer = s3.upload_part(Bucket=name, Key="k", UploadId=begun, PartNumber=1, Body=b"new")
    part = {"PartNumber": 1, "ETag": answer["ETag"]}
    complete(name, "k", begun, [part])
    assert get(name, "k") == b"new"


@scenario
def uploads_are_listed_and_aborted():
    name = bucket()
    begun, _ = upload(name, "a/1", [(1, b"x")])
    other, _ = upload(name, "b", [])
    assert {u["UploadId"] for u in s3.list_multipart_uploads(Bucket=name)["Uploads"]} == {begun, other}
    answer = s3.list_multipart_uploads(Bucket=name, Delimiter="/")
    assert prefixes(answer) == ["a/"] and [u["Key"] for u in answer["Uploads"]] == ["b"]
    s3.abort_multipart_upload(Bucket=name, Key="a/1", UploadId=begun)
    fails("NoSuchUpload", 404, s3.abort_multipart_upload, Bucket=name, Key="a/1", UploadId=begun)
    fails("NoSuchUpload", 404, s3.list_parts, Bucket=name, Key="a/1", UploadId=begun)
    fails("BucketNotEmpty", 409, s3.delete_bucket, Bucket=name)
    s3.abort_multipart_upload(Bucket=name, Key="b", UploadId=other)
    s3.delete_bucket(Bucket=name)


@scenario
def multipart_checksums_are_composite_or_whole():
    name = bucket()
    parts = [(1, content(5 * MIB, 1)), (2, content(100, 2))]
    whole = parts[0][1] + parts[1][1]
    begun, done = upload(name, "k", parts, ChecksumAlgorithm="SHA256")
    answer = complete(name, "k", begun, done)
    digests = b"".join(hashlib.sha256(body).digest() for _, body in parts)
    assert answer["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(digests).digest()).decode() + "-2", answer
    assert answer["ChecksumType"] == "COMPOSITE"
    begun, done = upload(name, "k", parts, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    answer = complete(name, "k", begun, done)
    assert answer["ChecksumCRC32"] == base64.b64encode(zlib.crc32(whole).to_bytes(4, "big")).decode()
    begun, done = upload(name, "k", parts, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    fails("BadDigest", 400, complete, name=name, key="k", begun=begun, done=done, ChecksumCRC32="AAAAAA==",
          ChecksumType="FULL_OBJECT")


@scenario
def completion_takes_conditions():
    name = bucket()
    begun, done = upload(name, "k", [(1, b"x")])
    put(name, "k", b"first")
    fails("PreconditionFailed", 412, complete, name=name, key="k", begun=begun, done=done, IfNoneMatch="*")
    s3.delete_object(Bucket=name, Key="k")
    complete(name, "k", begun, done, IfNoneMatch="*")


@scenario
def files_go_up_and_down_in_parts():
    name = bucket()
    body = content(20 * MIB + 7)
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    s3.upload_fileobj(io.BytesIO(body), name, "big", Config=config)
    assert s3.head_object(Bucket=name, Key="big")["ETag"].endswith('-5"')
    into = io.BytesIO()
    s3.download_fileobj(name, "big", into, Config=config)
    assert into.getvalue() == body


# Copies


@scenario
def objects_are_copied():
    name, other = bucket(), bucket()
    put(name, "ä b", b"content", Metadata={"a": "b"}, ContentType="x/y", Tagging="t=1")
    source = {"Bucket": name, "Key": "ä b"}
    answer = s3.copy_object(Bucket=other, Key="to", CopySource=source)
    assert answer["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(b"content").hexdigest()}"'
    head = s3.head_object(Bucket=other, Key="to")
    assert head["Metadata"] == {"a": "b"} and head["ContentType"] == "x/y"
    assert s3.get_object_tagging(Bucket=other, Key="to")["TagSet"] == [{"Key": "t", "Value": "1"}]
    s3.copy_object(Bucket=other, Key="to", CopySource=source, MetadataDirective="REPLACE", Metadata={"c": "d"})
    assert s3.head_object(Bucket=other, Key="to")["Metadata"] == {"c": "d"}
    fails("InvalidRequest", 400, s3.copy_object, Bucket=name, Key="ä b", CopySource=source)
    s3.copy_object(Bucket=name, Key="ä b", CopySource=source, MetadataDirective="REPLACE", Metadata={"e": "f"})
    assert s3.head_object(Bucket=name, Key="ä b")["Metadata"] == {"e": "f"} and get(name, "ä b") == b"content"
    fails("NoSuchKey", 404, s3.copy_object, Bucket=other, Key="x", CopySource={"Bucket": name, "Key": "none"})
    fails("PreconditionFailed", 412, s3.copy_object, Bucket=other, Key="x", CopySource=source, CopySourceIfMatch='"x"')


@scenario
def parts_are_copied():
    name = bucket()
    body = content(6 * MIB)
    put(name, "from", body)
    begun = s3.create_multipart_upload(Bucket=name, Key="to")["UploadId"]
    source = {"Bucket": name, "Key": "from"}
    first = s3.upload_part_copy(Bucket=name, Key="to", UploadId=begun, PartNumber=1, CopySource=source)
    second = s3.upload_part_copy(Bucket=name, Key="to", UploadId=begun, PartNumber=2, CopySource=source,
                                 CopySourceRange="bytes=0-9")
    done = [{"PartNumber": n + 1, "ETag": part["CopyPartResult"]["ETag"]} for n, part in enumerate([first, second])]
    complete(name, "to", begun, done)
    assert get(name, "to") == body + body[:10]
    begun = s3.create_multipart_upload(Bucket=name, Key="to")["UploadId"]
    fails("InvalidArgument", 400, s3.upload_part_copy, Bucket=name, Key="to", UploadId=begun, PartNumber=1,
          CopySource=source, CopySourceRange=f"bytes=0-{7 * MIB}")


# Tags, versions, lifecycle, CORS


@scenario
def object_tags_come_back():
    name = bucket()
    put(name, "k", Tagging="a=1&b=%C3%A4")
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "ä"}]
    assert s3.get_object_tagging(Bucket=name, Key="k")["TagSet"] == tags
    assert s3.get_object(Bucket=name, Key="k")["TagCount"] == 2
    s3.put_object_tagging(Bucket=name, Key="k", Tagging={"TagSet": tags[:1]})
    assert s3.get_object_tagging(Bucket=name, Key="k")["TagSet"] == tags[:1]
    s3.delete_object_tagging(Bucket=name, Key="k")
    assert s3.get_object_tagging(Bucket=name, Key="k")["TagSet"] == []
    many = [{"Key": str(n), "Value": ""} for n in range(11)]
    fails("InvalidTag", 400, s3.put_object_tagging, Bucket=name, Key="k", Tagging={"TagSet": many})
    fails("InvalidTag", 400, s3.put_object_tagging, Bucket=name, Key="k", Tagging={"TagSet": tags[:1] * 2})
    long = [{"Key": "k" * 129, "Value": ""}]
    fails("InvalidTag", 400, s3.put_object_tagging, Bucket=name, Key="k", Tagging={"TagSet": long})


@scenario
def versions_stay_and_markers_hide():
    name = bucket()
    assert "Status" not in s3.get_bucket_versioning(Bucket=name)
    put(name, "k", b"null")
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    one = put(name, "k", b"one")["VersionId"]
    two = put(name, "k", b"two")["VersionId"]
    assert get(name, "k") == b"two" and get(name, "k", VersionId=one) == b"one" and get(name, "k", VersionId="null") == b"null"
    deleted = s3.delete_object(Bucket=name, Key="k")
    marker = deleted["VersionId"]
    assert deleted["DeleteMarker"]
    fails("NoSuchKey", 404, s3.get_object, Bucket=name, Key="k")
    fails("MethodNotAllowed", 405, s3.get_object, Bucket=name, Key="k", VersionId=marker)
    answer = s3.list_object_versions(Bucket=name)
    assert [v["VersionId"] for v in answer["Versions"]] == [two, one, "null"]
    assert answer["DeleteMarkers"][0]["VersionId"] == marker and answer["DeleteMarkers"][0]["IsLatest"]
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=name, PaginationConfig={"PageSize": 1})
    assert sum(len(p.get("Versions", [])) + len(p.get("DeleteMarkers", [])) for p in pages) == 4
    gone = s3.delete_object(Bucket=name, Key="k", VersionId=marker)
    assert gone["DeleteMarker"] and get(name, "k") == b"two"
    s3.delete_object(Bucket=name, Key="k", VersionId=two)
    assert get(name, "k") == b"one"
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
    put(name, "k", b"new null")
    assert get(name, "k", VersionId="null") == b"new null" and get(name, "k", VersionId=one) == b"one"
    fails("NoSuchVersion", 404, s3.get_object, Bucket=name, Key="k", VersionId="00000000000000ff")
    fails("InvalidArgument", 400, s3.get_object, Bucket=name, Key="k", VersionId="nonsense")


@scenario
def lifecycles_come_back():
    name = bucket()
    fails("NoSuchLifecycleConfiguration", 404, s3.get_bucket_lifecycle_configuration, Bucket=name)
    rules = [
        {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}},
        {"ID": "tags", "Status": "Disabled",
         "Filter": {"And": {"Prefix": "a", "Tags": [{"Key": "k", "Value": "v"}], "ObjectSizeGreaterThan": 10}},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 3}},
        {"ID": "parts", "Status": "Enabled", "Filter": {"Prefix": ""},
         "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}},
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"] == rules
    fails("InvalidRequest", 400, s3.put_bucket_lifecycle_configuration, Bucket=name, LifecycleConfiguration={
        "Rules": [{"ID": "zero", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 0}}]})
    s3.delete_bucket_lifecycle(Bucket=name)
    fails("NoSuchLifecycleConfiguration", 404, s3.get_bucket_lifecycle_configuration, Bucket=name)


@scenario
def cors_lets_pages_in():
    name = bucket()
    rule = {"AllowedOrigins": ["https://*.example.com"], "AllowedMethods": ["PUT", "GET"], "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket=name)["CORSRules"] == [rule]
    url = s3.generate_presigned_url("put_object", Params={"Bucket": name, "Key": "k"})
    preflight = urllib.request.Request(url, method="OPTIONS", headers={
        "Origin": "https://app.example.com", "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type"})
    answer = urllib.request.urlopen(preflight)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type"
    preflight.add_header("Origin", "https://evil.example")
    assert status_of(preflight) == 403
    sent = urllib.request.Request(url, data=b"x", method="PUT", headers={"Origin": "https://app.example.com"})
    answer = urllib.request.urlopen(sent)
    assert answer.headers["Access-Control-Expose-Headers"] == "ETag"
    s3.delete_bucket_cors(Bucket=name)
    fails("NoSuchCORSConfiguration", 404, s3.get_bucket_cors, Bucket=name)


def main():
    only = sys.argv[1:]
    for function in SCENARIOS:
        if only and function.__name__ not in only:
            continue
        try:
            function()
            print(json.dumps({"name": f"boto3/{function.__name__}", "ok": True}), flush=True)
        except Exception:
            why = traceback.format_exc().strip()
            print(json.dumps({"name": f"boto3/{function.__name__}", "ok": False, "why": why}), flush=True)


main()
