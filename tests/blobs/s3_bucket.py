"""The back door of an S3 store: what lies in a bucket, by plain HTTP."""

from __future__ import annotations

import re

from emeritus.testing.s3 import S3Server


class Bucket:
    """The back door of an S3 store: plain HTTP, past the proxy."""

    def __init__(self, server: S3Server, bucket: str, prefix: str) -> None:
        self.server, self.bucket, self.prefix = server, bucket, prefix

    def read(self, key: str) -> bytes:
        """The object's bytes."""
        return self.server.request("GET", f"/{self.bucket}/{self.prefix}{key}")

    def write(self, key: str, data: bytes) -> None:
        """An object made by someone else."""
        self.server.request("PUT", f"/{self.bucket}/{self.prefix}{key}", data)

    def everything(self) -> list[str]:
        """Every key, the prefix taken off."""
        listing = self.server.request("GET", f"/{self.bucket}?list-type=2").decode()
        return sorted(key.removeprefix(self.prefix) for key in re.findall("<Key>(.*?)</Key>", listing))

    def unfinished(self) -> list[str]:
        """Uploads in parts that were begun and neither completed nor aborted."""
        return re.findall("<UploadId>(.*?)</UploadId>", self.server.request("GET", f"/{self.bucket}?uploads").decode())
