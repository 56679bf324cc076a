"""A blob of many GiB, up and down by multipart, and what the node's memory does meanwhile.

    python3 large.py [GIB]

needs S3_ENDPOINT and the keys in the environment, and S3_PID, the node's process. It prints one line of figures, and
removes the blob.
"""

import hashlib
import os
import sys
import time

import boto3.s3.transfer

from support import MIB, bucket, client

PIECE = 8 * MIB


def rss_mib(label):
    with open(f"/proc/{os.environ['S3_PID']}/status") as status:
        line = next(line for line in status if line.startswith(label))
    return int(line.split()[1]) / 1024


class Made:
    """A file of so many bytes that is made while it is read: no piece is like another."""

    def __init__(self, size):
        self.size, self.at, self.digest = size, 0, hashlib.sha256()
        self.block = os.urandom(PIECE)

    def read(self, count=-1):
        left = self.size - self.at
        count = left if count < 0 else min(count, left)
        start = self.at % (PIECE // 2)
        piece = (self.at.to_bytes(8, "little") + self.block[start:] + self.block)[:count]
        self.at += len(piece)
        self.digest.update(piece)
        return piece


class Taken:
    def __init__(self):
        self.digest = hashlib.sha256()

    def write(self, piece):
        self.digest.update(piece)


def main():
    size = int(float(sys.argv[1] if len(sys.argv) > 1 else 5) * (1 << 30))
    s3, name = client(s3={"addressing_style": "path"}), bucket()
    config = boto3.s3.transfer.TransferConfig(multipart_threshold=PIECE, multipart_chunksize=2 * PIECE, max_concurrency=4,
                                              use_threads=True)
    before = rss_mib("VmRSS:")
    made, begun = Made(size), time.monotonic()
    s3.upload_fileobj(made, name, "large", Config=config)
    up = time.monotonic() - begun
    after_up = rss_mib("VmHWM:")
    taken, begun = Taken(), time.monotonic()
    body = s3.get_object(Bucket=name, Key="large")["Body"]
    for piece in iter(lambda: body.read(PIECE), b""):
        taken.write(piece)
    down = time.monotonic() - begun
    assert taken.digest.digest() == made.digest.digest(), "it came down as something else"
    s3.delete_object(Bucket=name, Key="large")
    s3.delete_bucket(Bucket=name)
    mib = size / MIB
    print(f"{mib:.0f} MiB: up {mib / up:.0f} MiB/s, down {mib / down:.0f} MiB/s; RSS {before:.0f} MiB before, "
          f"{after_up:.0f} at most while it went up, {rss_mib('VmHWM:'):.0f} at most in all")


main()
