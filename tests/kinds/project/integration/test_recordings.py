"""The place of the recordings on a real S3 server."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kinds.project.resources.recordings import Recordings
from reconciler.model.decision import Needed, Settled
from reconciler.model.errors import Denied, SystemFault
from reconciler.model.observation import Unknown
from reconciler.settings.giving import Sections
from tests.integration.conftest import Database
from tests.kinds.project.support.passes import Passes, target
from tests.support import servers


def recordings(bucket: tuple[str, str], **more: Any) -> Passes:
    endpoint, name = bucket
    s3 = {
        "endpoint": f"http://{endpoint}", "bucket": name,
        "accessKey": servers.S3_ACCESS_KEY, "secretKey": servers.S3_SECRET_KEY,
    }  # fmt: skip
    return Passes(Recordings(Sections({"s3": s3, **more}, {})))


def test_bucket_and_marker_are_made_and_settled(bucket: tuple[str, str]) -> None:
    passes = recordings(bucket)
    decision = passes.plan(target())
    applied = passes.apply(target(), decision)
    assert passes.apply(target(), decision) == applied
    assert passes.plan(target()) == applied
    assert isinstance(passes.plan(target("gadgets")), Needed)


def test_postgres_is_reported_and_its_absence_makes_nobody_wrong(
    bucket: tuple[str, str], database: Database
) -> None:
    passes = recordings(bucket, postgres={"url": database.url})
    applied = passes.run(target())
    assert isinstance(applied, Settled)
    assert "PostgreSQL" in applied.note
    assert passes.plan(target()) == applied

    down = recordings(bucket, postgres={"url": f"postgresql://u@127.0.0.1:{servers.free_port()}/d"})
    assert isinstance(down.observe(target())["acme-widgets"], Unknown)
    with pytest.raises(SystemFault, match="PostgreSQL"):
        down.run(target("gadgets"))
    assert isinstance(recordings(bucket).plan(target("gadgets")), Settled), "the marker is made all the same"


def test_wrong_keys_concern_everybody(bucket: tuple[str, str]) -> None:
    passes = recordings(bucket)
    endpoint, name = bucket
    wrong = {"endpoint": f"http://{endpoint}", "bucket": name, "accessKey": "x", "secretKey": "y"}
    with pytest.raises(Denied):
        Passes(Recordings(Sections({"s3": wrong}, {}))).observe(target())
    assert isinstance(passes.plan(target()), Needed)
