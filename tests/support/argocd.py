"""A bare manifest repository and an emulated Argo CD over it, with a clock that tests turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pygit2
from starlette.types import Message, Receive, Scope, Send

from reconciler.clients.http import trusted
from reconciler.sandbox.emulators.argocd.app import create_app
from reconciler.sandbox.emulators.store import Store
from tests.support.serve import serve

TOKEN = "argo-token"
BASE = """\
# by hand: keep the order
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: mesh-six
resources:
  - orchestrator.yaml
"""
ORCHESTRATOR = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: orchestrator
spec:
  replicas: 1
  selector: {matchLabels: {app: orchestrator}}
  template: {metadata: {labels: {app: orchestrator}}, spec: {containers: [{name: main, image: "o:1"}]}}
---
apiVersion: v1
kind: Namespace
metadata:
  name: mesh-six
"""


class Clock:
    """Seconds since the epoch, moved by hand."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Manifests:
    """A bare repository with a small realistic tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._repository = pygit2.init_repository(str(path), bare=True, initial_head="main")
        self._slugs: list[str] = []
        self.head = ""
        self.commit({"k8s/base/kustomization.yaml": BASE, "k8s/base/orchestrator.yaml": ORCHESTRATOR})

    def commit(
        self, files: dict[str, str], links: dict[str, str] | None = None, gone: Iterable[str] = ()
    ) -> str:
        """Commit these files and links over those that are there, without what goes; return the commit."""
        index = pygit2.Index()
        if self.head:
            index.read_tree(self._repository[self.head].peel(pygit2.Tree))
        for name in gone:
            index.remove_all([name])
        of_mode = {pygit2.enums.FileMode.BLOB: files, pygit2.enums.FileMode.LINK: links or {}}
        for mode, named in of_mode.items():
            for name, text in named.items():
                index.add(pygit2.IndexEntry(name, self._repository.create_blob(text.encode()), mode))
        return self._move(index.write_tree(self._repository))

    def branch(self, name: str, revision: str) -> None:
        """Let a branch be at a commit."""
        self._repository.branches.local.create(
            name, self._repository[revision].peel(pygit2.Commit), force=True
        )

    def undo(self, revision: str) -> str:
        """Commit the tree of an earlier commit."""
        return self._move(self._repository[revision].peel(pygit2.Tree).id)

    def add(self, *slugs: str) -> str:
        """Add environments and their lines."""
        self._slugs += slugs
        lines = "".join(f"  - envs/{slug}\n" for slug in self._slugs)
        files = {"k8s/base/kustomization.yaml": BASE + lines}
        for slug in slugs:
            files |= _placed(environment(slug), slug)
        return self.commit(files)

    def write(self, files: dict[str, str], slug: str) -> str:
        """Replace an environment's files."""
        return self.commit(_placed(files, slug))

    def tree(self, slug: str) -> str:
        """Return the git id of an environment's folder at the head."""
        return str(self._repository[self.head].peel(pygit2.Tree)[f"k8s/base/envs/{slug}"].id)

    def _move(self, tree: pygit2.Oid) -> str:
        author = pygit2.Signature("a person", "person@example.org", 1_700_000_000, 0)
        parents: list[Any] = [self.head] if self.head else []
        made = self._repository.create_commit("refs/heads/main", author, author, "change", tree, parents)
        self.head = str(made)
        return self.head


def environment(
    slug: str,
    *,
    image: str = "builder:1",
    service_name: str = "",
    selector: str = "",
    storage: str = "20Gi",
    template_storage: str = "1Gi",
    label: str = "x",
    cluster_ip: str = "None",
) -> dict[str, str]:
    """Return the files of one environment."""
    name = f"env-{slug}"
    return {
        "kustomization.yaml": "resources: [statefulset.yaml, service.yaml, pvc.yaml, external-secret.yaml]\n",
        "statefulset.yaml": f"""\
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  serviceName: {service_name or name}
  selector: {{matchLabels: {{app: {selector or name}}}}}
  template:
    metadata: {{labels: {{app: {selector or name}}}}}
    spec: {{containers: [{{name: main, image: "{image}"}}]}}
  volumeClaimTemplates:
    - metadata: {{name: cache}}
      spec: {{resources: {{requests: {{storage: {template_storage}}}}}}}
""",
        "service.yaml": f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}, labels: {{project: {label}}}}}
spec: {{clusterIP: "{cluster_ip}"}}
""",
        "pvc.yaml": f"""\
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: {name}-worktrees}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: {storage}}}}}}}
""",
        "external-secret.yaml": f"""\
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {{name: {name}}}
spec: {{}}
""",
    }


def _placed(files: dict[str, str], slug: str) -> dict[str, str]:
    return {f"k8s/base/envs/{slug}/{name}": text for name, text in files.items()}


class Argo:
    """An emulated Argo CD over HTTP: polls every 5 s, builds for 10 s; its clock stands still."""

    def __init__(self, url: str, clock: Clock, writes: list[bool]) -> None:
        self.url = url
        self.clock = clock
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=30, verify=trusted())
        self._writes = writes

    @property
    def requests(self) -> int:
        """How many requests there were."""
        return len(self._writes)

    @property
    def writes(self) -> int:
        """How many requests changed something."""
        return sum(self._writes)

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    def application(self, **params: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get(
            "/api/v1/applications/mesh-six", params={"project": "default", **params}
        ).json()
        return answer

    def refresh(self) -> dict[str, Any]:
        return self.application(refresh="normal")

    def deploy(self) -> None:
        """Refresh and let everything settle, polls included."""
        self.refresh()
        self.wait(60.0)

    def sync(self, **body: Any) -> httpx.Response:
        return self.http.post("/api/v1/applications/mesh-six/sync", json={"project": "default", **body})

    def tree(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get(
            "/api/v1/applications/mesh-six/resource-tree", params={"project": "default"}
        ).json()
        return answer

    def node(self, kind: str, name: str) -> dict[str, Any]:
        return next(node for node in self.tree()["nodes"] if (node["kind"], node["name"]) == (kind, name))

    def object(self, kind: str, name: str) -> dict[str, Any]:
        resources = self.application()["status"]["resources"]
        return next(item for item in resources if (item["kind"], item["name"]) == (kind, name))

    def order(self, what: str, **body: Any) -> None:
        assert self.http.post(f"/_emulator/{what}", json=body).status_code == 200


@contextmanager
def emulated(
    repository: Path, *, store: Store | None = None, clock: Clock | None = None, **application: Any
) -> Iterator[Argo]:
    """Serve an emulator for the length of a test. `application`: as `create_app` takes it."""
    clock, store = clock or Clock(), store or Store()
    writes: list[bool] = []
    app = create_app(
        store or Store(),
        token=TOKEN,
        repository=repository,
        poll_seconds=5.0,
        build_seconds=10.0,
        clock=clock,
        **application,
    )

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        state = scope.setdefault("state", {})

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                writes.append(bool(state.get("wrote")))
            await send(message)

        await app(scope, receive, sent)

    with serve(counted) as url:
        argo = Argo(url, clock, writes)
        try:
            yield argo
        finally:
            argo.http.close()
            store.close()
