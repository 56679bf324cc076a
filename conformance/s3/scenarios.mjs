// Scenarios of the S3 protocol, driven by the AWS SDK for JavaScript. Prints one JSON object a line:
// {"name": …, "ok": …, "why": …}.
import assert from "node:assert/strict";
import { Agent } from "node:http";
import { createHash, randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import {
  CompleteMultipartUploadCommand, CopyObjectCommand, CreateBucketCommand, CreateMultipartUploadCommand,
  DeleteObjectsCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client,
  UploadPartCommand, paginateListObjectsV2,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const MIB = 1 << 20;
const settings = {
  endpoint: process.env.S3_ENDPOINT,
  region: "us-east-1",
  credentials: { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY },
  maxAttempts: 1,
};
const s3 = new S3Client({ ...settings, forcePathStyle: true });

async function bucket() {
  const Bucket = "j-" + randomUUID().replaceAll("-", "").slice(0, 16);
  await s3.send(new CreateBucketCommand({ Bucket }));
  return Bucket;
}

async function read(Bucket, Key, more = {}) {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key, ...more }));
  return Buffer.from(await Body.transformToByteArray());
}

const scenarios = {
  async objects_come_back_as_they_were_put() {
    const Bucket = await bucket();
    for (const size of [0, 1, 70_000, 3 * MIB]) {
      const body = Buffer.alloc(size, "abc");
      const put = await s3.send(new PutObjectCommand({
        Bucket, Key: "k", Body: body, ContentType: "text/x", Metadata: { a: "b" },
      }));
      assert.equal(put.ETag, `"${createHash("md5").update(body).digest("hex")}"`);
      assert.ok((await read(Bucket, "k")).equals(body));
      const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "k" }));
      assert.deepEqual([head.ContentLength, head.ContentType, head.Metadata], [size, "text/x", { a: "b" }]);
    }
  },

  async every_checksum_is_taken() {
    const Bucket = await bucket();
    for (const ChecksumAlgorithm of ["CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"]) {
      try {
        await s3.send(new PutObjectCommand({ Bucket, Key: ChecksumAlgorithm, Body: "123456789", ChecksumAlgorithm }));
      } catch (error) {
        // Only with an optional package does the SDK compute this one itself.
        if (ChecksumAlgorithm === "CRC64NVME" && /crt|crc64/i.test(error.message)) continue;
        throw error;
      }
      const found = await s3.send(new GetObjectCommand({ Bucket, Key: ChecksumAlgorithm, ChecksumMode: "ENABLED" }));
      assert.ok(found[`Checksum${ChecksumAlgorithm}`], ChecksumAlgorithm);
      assert.equal(await found.Body.transformToString(), "123456789");
    }
  },

  async streams_go_up_with_a_trailer() {
    const Bucket = await bucket();
    const body = Buffer.alloc(300_000, "stream");
    const Body = Readable.from([body.subarray(0, 100_000), body.subarray(100_000)]);
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body, ContentLength: body.length }));
    assert.ok((await read(Bucket, "k")).equals(body));
  },

  async uploads_go_in_parts() {
    const Bucket = await bucket();
    const body = Buffer.alloc(17 * MIB, "parts");
    const upload = new Upload({
      client: s3, params: { Bucket, Key: "big", Body: Readable.from([body]) }, partSize: 5 * MIB, queueSize: 3,
    });
    const done = await upload.done();
    assert.match(done.ETag, /-4"$/);
    assert.ok((await read(Bucket, "big")).equals(body));
    assert.ok((await read(Bucket, "big", { Range: `bytes=${5 * MIB - 1}-${5 * MIB}` })).equals(body.subarray(5 * MIB - 1, 5 * MIB + 1)));
    const stopped = new Upload({ client: s3, params: { Bucket, Key: "none", Body: body }, partSize: 5 * MIB });
    const waiting = stopped.done();
    await stopped.abort();
    await assert.rejects(waiting, { name: "AbortError" });
  },

  async parts_by_hand() {
    const Bucket = await bucket();
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key: "k" }));
    const place = { Bucket, Key: "k", UploadId };
    const part = await s3.send(new UploadPartCommand({ ...place, PartNumber: 3, Body: "only" }));
    await s3.send(new CompleteMultipartUploadCommand({
      ...place, MultipartUpload: { Parts: [{ PartNumber: 3, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32 }] },
    }));
    assert.equal((await read(Bucket, "k")).toString(), "only");
  },

  async presigned_urls_work_with_fetch() {
    const Bucket = await bucket();
    const put = await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key: "a b/ä" }), { expiresIn: 60 });
    assert.equal((await fetch(put, { method: "PUT", body: "by url" })).status, 200);
    const get = await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: "a b/ä" }), { expiresIn: 60 });
    assert.equal(await (await fetch(get)).text(), "by url");
    assert.equal((await fetch(get, { method: "DELETE" })).status, 403);
    assert.equal((await fetch(get.replace("X-Amz-Signature=", "X-Amz-Signature=0"))).status, 403);
  },

  async lists_are_paged() {
    const Bucket = await bucket();
    for (const Key of ["a/1", "a/2", "b", "c/1", "ü"]) await s3.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
    const entries = [];
    for await (const page of paginateListObjectsV2({ client: s3, pageSize: 2 }, { Bucket, Delimiter: "/" })) {
      entries.push(...(page.Contents ?? []).map((c) => c.Key), ...(page.CommonPrefixes ?? []).map((p) => p.Prefix));
    }
    assert.deepEqual(entries.sort(), ["a/", "b", "c/", "ü"]);
    const url = await s3.send(new ListObjectsV2Command({ Bucket, EncodingType: "url", Prefix: "ü" }));
    assert.equal(url.Contents[0].Key, "%C3%BC");
  },

  async errors_have_their_names() {
    const Bucket = await bucket();
    await assert.rejects(s3.send(new GetObjectCommand({ Bucket, Key: "none" })), { name: "NoSuchKey" });
    await assert.rejects(s3.send(new GetObjectCommand({ Bucket: "none-of-these", Key: "k" })), { name: "NoSuchBucket" });
    await s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x", IfNoneMatch: "*" }));
    await assert.rejects(s3.send(new PutObjectCommand({ Bucket, Key: "k", Body: "y", IfNoneMatch: "*" })), {
      name: "PreconditionFailed",
    });
    const wrong = new S3Client({
      ...settings, forcePathStyle: true, credentials: { ...settings.credentials, secretAccessKey: "wrong" },
    });
    await assert.rejects(wrong.send(new GetObjectCommand({ Bucket, Key: "k" })), { name: "SignatureDoesNotMatch" });
  },

  async copies_and_deletions() {
    const Bucket = await bucket();
    await s3.send(new PutObjectCommand({ Bucket, Key: "a", Body: "x", Metadata: { m: "1" } }));
    await s3.send(new CopyObjectCommand({ Bucket, Key: "b", CopySource: `${Bucket}/a` }));
    const head = await s3.send(new HeadObjectCommand({ Bucket, Key: "b" }));
    assert.deepEqual(head.Metadata, { m: "1" });
    const Delete = { Objects: [{ Key: "a" }, { Key: "b" }] };
    assert.equal((await s3.send(new DeleteObjectsCommand({ Bucket, Delete }))).Deleted.length, 2);
  },

  async buckets_may_stand_in_the_host() {
    const Bucket = await bucket();
    // Not every resolver knows that what ends in .localhost is this machine.
    const lookup = (_, options, done) =>
      options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);
    const endpoint = settings.endpoint.replace("127.0.0.1", "s3.localhost");
    const virtual = new S3Client({ ...settings, endpoint, requestHandler: { httpAgent: new Agent({ lookup }) } });
    await virtual.send(new PutObjectCommand({ Bucket, Key: "k/1", Body: "virtual" }));
    assert.equal((await read(Bucket, "k/1")).toString(), "virtual");
  },
};

const only = process.argv.slice(2);
for (const [name, run] of Object.entries(scenarios)) {
  if (only.length > 0 && !only.includes(name)) continue;
  try {
    await run();
    console.log(JSON.stringify({ name: `sdk/${name}`, ok: true }));
  } catch (error) {
    console.log(JSON.stringify({ name: `sdk/${name}`, ok: false, why: String(error.stack ?? error) }));
  }
}
