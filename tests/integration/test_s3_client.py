"""The S3 client against a real server: what lies in the bucket afterwards, and which error says why not."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
from minio import Minio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from reconciler.clients.s3 import ObjectStore, ObjectStoreWriter, S3Settings
from reconciler.model.errors import ConfigurationError, Denied, Rejected, Unavailable
from reconciler.settings.giving import Sections
from tests.support import servers
from tests.support.serve import serve

Corner = tuple[str, str]


def sections(corner: Corner, **settings: Any) -> Sections:
    endpoint, bucket = corner
    values = {
        "endpoint": f"http://{endpoint}",
        "accessKey": servers.S3_ACCESS_KEY,
        "secretKey": servers.S3_SECRET_KEY,
        "bucket": bucket,
    }
    return Sections({"s3": {**values, **settings}}, {})


def admin(corner: Corner) -> Minio:
    return Minio(corner[0], servers.S3_ACCESS_KEY, servers.S3_SECRET_KEY, secure=False, region="us-east-1")


@pytest.fixture
def writer(bucket: Corner) -> ObjectStoreWriter:
    return ObjectStoreWriter.connect(sections(bucket))


def test_without_a_bucket_there_is_nothing(writer: ObjectStoreWriter) -> None:
    assert writer.keys("acme") == frozenset()


def test_bucket_and_marker_are_made_and_may_be_made_again(writer: ObjectStoreWriter) -> None:
    for _ in range(2):
        writer.ensure_bucket()
        writer.put_marker("acme/widgets/")
    writer.put_marker("other/gadgets/")
    assert writer.keys("acme") == {"acme/widgets/"}
    assert writer.keys("nobody") == frozenset()
    assert writer.keys("acm") == frozenset()


def test_a_marker_that_is_gone_is_not_listed_whatever_the_server_keeps_of_its_place(
    writer: ObjectStoreWriter, bucket: Corner
) -> None:
    writer.ensure_bucket()
    writer.put_marker("repos/acme/widgets/.keep")
    assert writer.keys("repos/acme") == {"repos/acme/widgets/.keep"}
    admin(bucket).remove_object(bucket[1], "repos/acme/widgets/.keep")
    assert writer.keys("repos/acme") == frozenset()


def test_an_object_with_the_markers_key_keeps_its_content(writer: ObjectStoreWriter, bucket: Corner) -> None:
    writer.ensure_bucket()
    theirs = admin(bucket)
    theirs.put_object(bucket[1], "acme/note", io.BytesIO(b"12345"), 5)
    writer.put_marker("acme/note")
    answer = theirs.get_object(bucket[1], "acme/note")
    assert answer.read() == b"12345"
    answer.close()
    answer.release_conn()


def test_more_keys_than_a_page(writer: ObjectStoreWriter, bucket: Corner) -> None:
    writer.ensure_bucket()
    theirs = admin(bucket)
    for number in range(1001):
        theirs.put_object(bucket[1], f"acme/r{number}/", io.BytesIO(b""), 0)
    assert len(writer.keys("acme")) == 1001


def test_a_reader_remembers_its_listing_for_the_pass(writer: ObjectStoreWriter, bucket: Corner) -> None:
    reader = ObjectStore.connect(sections(bucket))
    assert reader.keys("acme") == frozenset()
    writer.ensure_bucket()
    writer.put_marker("acme/widgets/")
    assert reader.keys("acme") == frozenset()
    reader.close()
    assert ObjectStore.connect(sections(bucket)).keys("acme") == {"acme/widgets/"}


@pytest.mark.parametrize(("key", "value"), [("accessKey", "nobody"), ("secretKey", "wr0ng-secret")])
def test_wrong_keys_are_denied(bucket: Corner, key: str, value: str) -> None:
    client = ObjectStoreWriter.connect(sections(bucket, **{key: value}))
    for call in (lambda: client.keys("acme"), client.ensure_bucket, lambda: client.put_marker("a/b/")):
        with pytest.raises(Denied) as caught:
            call()
        assert "wr0ng-secret" not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_keys_that_may_only_read(writer: ObjectStoreWriter, bucket: Corner) -> None:
    limited = ObjectStoreWriter.connect(sections(bucket, accessKey="reader", secretKey="reader-secret-key"))
    with pytest.raises(Denied):
        limited.ensure_bucket()
    writer.ensure_bucket()
    limited.ensure_bucket()
    with pytest.raises(Denied):
        limited.put_marker("acme/widgets/")
    assert limited.keys("acme") == frozenset()


def test_a_server_that_is_down_is_unavailable_soon() -> None:
    client = ObjectStore.connect(sections((f"127.0.0.1:{servers.free_port()}", "bucket")))
    started = time.monotonic()
    with pytest.raises(Unavailable):
        client.keys("acme")
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (502, "<html>no such luck: wr0ng-secret</html>", Unavailable),
        (200, "<not-xml wr0ng-secret", Rejected),
        (200, "", Rejected),
        (503, "<Error><Code>SlowDown</Code><Message>wr0ng-secret</Message></Error>", Unavailable),
    ],
)
def test_answers_that_are_none(status: int, body: str, fault: type[Exception]) -> None:
    def answer(request: Request) -> Response:
        return PlainTextResponse(body, status, media_type="application/xml" if status != 502 else "text/html")

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "PUT", "HEAD"])])
    with serve(app) as url:
        client = ObjectStore.connect(sections((url.removeprefix("http://"), "bucket")))
        with pytest.raises(fault) as caught:
            client.keys("acme")
        client.close()
    assert "wr0ng-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("s3.example.org", ("s3.example.org", True)),
        ("minio:9000", ("minio:9000", True)),
        ("http://minio:9000", ("minio:9000", False)),
        ("https://s3.example.org/", ("s3.example.org", True)),
    ],
)
def test_endpoints(endpoint: str, expected: tuple[str, bool]) -> None:
    assert S3Settings.load({"endpoint": endpoint}, {}).address() == expected


@pytest.mark.parametrize(
    "endpoint", ["ftp://a", "http://", "http://a/b", "http://u:p@a", "a:b:c", "http://a:99999"]
)
def test_endpoints_that_are_none(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"s3\.endpoint"):
        S3Settings.load({"endpoint": endpoint, "accessKey": "a", "secretKey": "b"}, {}).check()


def test_an_endpoint_without_keys_is_half_set_up() -> None:
    settings = S3Settings.load({}, {"MINIO_ENDPOINT": "minio:9000", "MINIO_ACCESS_KEY": "a"})
    assert settings.missing() is None
    with pytest.raises(ConfigurationError, match="MINIO_SECRET_KEY"):
        settings.check()
    assert S3Settings.load({}, {}).missing() == "s3.endpoint (MINIO_ENDPOINT)"
