"""An S3 store of recordings: which prefixes there are, and the empty objects that mark them.

Knows the minio package. Nothing here deletes an object or overwrites one. docs/systems/s3.md has the rest.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from itertools import islice
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from pydantic import AliasChoices, Field, SecretStr

from reconciler.clients.answers import Endless, parts_of, within_bounds
from reconciler.clients.retry import Retry
from reconciler.model.errors import (
    Collision,
    ConfigurationError,
    Denied,
    Missing,
    Rejected,
    Senseless,
    SystemFault,
    Unavailable,
)
from reconciler.settings.giving import HostOrWebAddress, Reader, Sections, Settings, Writer
from reconciler.settings.request_count import count

SYSTEM = "S3"
TIMEOUT = urllib3.Timeout(connect=5.0, read=10.0)

MOST_KEYS = 1_000_000
"""Of one list: a server that never comes to its last page does not keep a pass for ever."""
_NOBODYS = "\N{REPLACEMENT CHARACTER}"
"""A prefix that no key has, to ask for the bucket only."""

T = TypeVar("T")


class S3Settings(Settings):
    """The object store that keeps recordings: MinIO, or anything that speaks S3."""

    section: ClassVar[str] = "s3"

    endpoint: HostOrWebAddress | None = Field(
        None, validation_alias=AliasChoices("endpoint", "MINIO_ENDPOINT")
    )
    """`host:port`, spoken to with TLS, or a URL whose scheme says so or not."""
    access_key: SecretStr | None = Field(None, validation_alias=AliasChoices("accessKey", "MINIO_ACCESS_KEY"))
    """The access key."""
    secret_key: SecretStr | None = Field(None, validation_alias=AliasChoices("secretKey", "MINIO_SECRET_KEY"))
    """Its secret."""
    region: str = "us-east-1"
    """The region; named, so that nobody has to ask the server for it."""
    bucket: str = Field("mesh-six-recordings", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """The bucket of all recordings; made where it is missing."""

    def missing(self) -> str | None:
        """Off without an endpoint."""
        return None if self.endpoint else "s3.endpoint (MINIO_ENDPOINT)"

    def check(self) -> None:
        """Raise ConfigurationError for an endpoint that is none, or one without keys."""
        self.address()
        if not (self.access_key and self.secret_key):
            raise ConfigurationError(
                "s3.endpoint is set without keys",
                remedy="set s3.accessKey (MINIO_ACCESS_KEY) and s3.secretKey (MINIO_SECRET_KEY)",
            )

    def address(self) -> tuple[str, bool]:
        """Return (`host:port`, whether to use TLS)."""
        parts = urlsplit(self.endpoint or "")
        if parts.path:
            raise ConfigurationError(
                "s3.endpoint has a path, which S3 does not know",
                remedy="write it like https://s3.example.org",
            )
        return parts.netloc, parts.scheme == "https"


class _Pool(urllib3.PoolManager):
    """The connections that the minio package sends through."""

    def urlopen(self, method: str, url: str, *args: Any, **kw: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401
        """Send one request, and read its answer as far as the bounds go; a redirect is nobody's to follow."""
        count(SYSTEM, f"{method} {urlsplit(url).path}")
        kw |= {"preload_content": False, "redirect": False}
        answer = super().urlopen(method, url, *args, **kw)
        try:
            body = b"".join(within_bounds(parts_of(answer)))
        except Endless:
            answer.close()
            raise
        finally:
            answer.release_conn()
        headers = urllib3.HTTPHeaderDict(answer.headers)
        headers.discard("content-encoding")
        return urllib3.HTTPResponse(
            body, headers=headers, status=answer.status, reason=answer.reason, request_method=method
        )


class ObjectStore(Reader):
    """Reads what there is in the bucket of recordings."""

    system: ClassVar[str] = SYSTEM
    settings: ClassVar[type[Settings]] = S3Settings

    def __init__(self, settings: S3Settings) -> None:
        self._bucket = settings.bucket
        self._pool = _Pool(timeout=TIMEOUT, retries=False, maxsize=4)
        address, secure = settings.address()
        self._client = Minio(
            address,
            access_key=_text(settings.access_key),
            secret_key=_text(settings.secret_key),
            secure=secure,
            region=settings.region,
            http_client=self._pool,
        )
        self._retry = Retry()
        self._listing = threading.Lock()
        self._listed: dict[str, frozenset[str]] = {}

    @classmethod
    def connect(cls, sections: Sections) -> Self:
        """Make a client, without any request."""
        return cls(sections.get(S3Settings))

    def close(self) -> None:
        """Give back the connections."""
        self._pool.clear()

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self._bucket

    def keys(self, folder: str) -> frozenset[str]:
        """Return the keys of all objects below `folder/`; empty without a bucket.

        One request for each thousand of them, once a pass. Keys and not prefixes: some servers go on listing
        a prefix whose last object is gone.
        """
        with self._listing:
            if folder not in self._listed:
                self._listed[folder] = self._retry.repeat(_wrapped, lambda: self._keys(folder))
            return self._listed[folder]

    def _keys(self, folder: str) -> frozenset[str]:
        return self._listed_keys(f"{folder}/")

    def _listed_keys(self, prefix: str) -> frozenset[str]:
        try:
            listed = self._client.list_objects(self._bucket, prefix=prefix, recursive=True)
            return frozenset(str(found.object_name) for found in islice(listed, MOST_KEYS))
        except S3Error as error:
            if error.code == "NoSuchBucket":
                return frozenset()
            raise


class ObjectStoreWriter(ObjectStore, Writer):
    """Makes the bucket and markers too."""

    def keys(self, folder: str) -> frozenset[str]:
        """Return the keys of all objects below `folder/`, asked anew."""
        return self._retry.repeat(_wrapped, lambda: self._keys(folder))

    def ensure_bucket(self) -> None:
        """Make the bucket if it is not there."""
        if self._retry.repeat(_wrapped, self._has_bucket):
            return
        try:
            _wrapped(lambda: self._client.make_bucket(self._bucket))
        except Collision as error:
            # Somebody made it since we asked. If that was our own account, all is well.
            if not _wrapped(self._has_bucket):
                raise Denied(
                    SYSTEM,
                    f"the bucket {self._bucket} belongs to another account",
                    remedy="choose another s3.bucket",
                ) from error
        else:
            if not self._retry.repeat(_wrapped, self._has_bucket):
                raise Senseless(SYSTEM, f"confirmed the bucket {self._bucket}, which is not there")

    def put_marker(self, key: str) -> None:
        """Put an empty object, unless there is one of that key; its content is never replaced."""
        if self._is_there(key):
            return
        _wrapped(lambda: self._client.put_object(self._bucket, key, io.BytesIO(b""), 0))
        if not self._is_there(key):
            raise Senseless(SYSTEM, f"confirmed {key}, which is not there")

    def _is_there(self, key: str) -> bool:
        """Tell by a list, which has a form: a HEAD that fails has no body to tell whose answer it is."""
        return key in self._retry.repeat(_wrapped, lambda: self._listed_keys(key))

    def _has_bucket(self) -> bool:
        """Tell by a list, too, whether the bucket is there and ours to see."""
        try:
            for _ in self._client.list_objects(self._bucket, prefix=_NOBODYS):
                break
        except S3Error as error:
            if error.code == "NoSuchBucket":
                return False
            raise
        return True


_CODES: dict[str, type[SystemFault]] = {
    "NoSuchBucket": Missing,
    "NoSuchKey": Missing,
    "AccessDenied": Denied,
    "SignatureDoesNotMatch": Denied,
    "InvalidAccessKeyId": Denied,
    "ExpiredToken": Denied,
    "InvalidTokenId": Denied,
    "AllAccessDisabled": Denied,
    "RequestTimeTooSkewed": Denied,
    "BucketAlreadyOwnedByYou": Collision,
    "BucketAlreadyExists": Collision,
    "SlowDown": Unavailable,
    "RequestTimeout": Unavailable,
    "OperationAborted": Unavailable,
}


def _wrapped(call: Callable[[], T]) -> T:
    try:
        return call()
    except S3Error as error:
        raise _fault(error) from error
    except Endless as error:
        raise Senseless(SYSTEM, "gave an answer without an end") from error
    except (InvalidResponseError, ServerError) as error:
        # An answer that is not S3's own, such as a proxy's page. Its text is the body: not quoted.
        raise Unavailable(SYSTEM, "answered with something that is not S3") from error
    except urllib3.exceptions.TimeoutError as error:
        raise Unavailable(SYSTEM, "did not answer in time") from error
    except urllib3.exceptions.HTTPError as error:
        pool = getattr(error, "pool", None)
        where = f" at {pool.host}:{pool.port}" if isinstance(pool, urllib3.HTTPConnectionPool) else ""
        raise Unavailable(SYSTEM, f"could not be reached{where}: {type(error).__name__}") from error
    except (MinioException, ParseError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise Senseless(SYSTEM, f"gave an answer that makes no sense: {type(error).__name__}") from error


def _fault(error: S3Error) -> SystemFault:
    status = error.response.status
    kind = _CODES.get(str(error.code), Unavailable if status >= 500 or status == 429 else Rejected)
    remedy = "check the keys of s3, and what they may do with the bucket" if kind is Denied else ""
    return kind(SYSTEM, f"answered {error.code}", remedy=remedy)


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
