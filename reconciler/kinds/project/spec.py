"""The fields of a file of kind `project`: those of mesh-six's OnboardProjectRequest, under the same names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field

from reconciler.model.item import Spec, Strict, slug_of

# GitHub's own limits. Users whom an enterprise manages carry an underscore and its short code.
OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}(?:_[A-Za-z0-9]+)?")
REPOSITORY = re.compile(r"[A-Za-z0-9._-]{1,100}")
BRANCH = re.compile(r"[^\s~^:?*\[\\-][^\s~^:?*\[\\]*")
MEMORY = re.compile(r"[1-9][0-9]{0,17}(?:\.[0-9]{1,3})?(?:Ki|Mi|Gi|Ti|k|M|G|T)?")
LEAST_BYTES, MOST_BYTES = 2**20, 2**62
"""Less than the first is a number whose unit was forgotten; beyond the second Kubernetes cannot count."""
CPU = re.compile(r"(?:[1-9][0-9]{0,6}m|[0-9]{1,4}(?:\.[0-9]{1,3})?)")
TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*")
DEVCONTAINER = re.compile(
    r"(?:\.devcontainer\.json|\.devcontainer/(?:[^/\x00-\x1f\x7f-\x9f]+/)?devcontainer\.json)"
)
HOSTNAME = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_FACTORS = {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
}


def amount(quantity: str) -> Decimal:
    """Return a Kubernetes quantity in its base unit: bytes or cores."""
    if quantity.endswith("m"):
        return Decimal(quantity[:-1]) / 1000
    for suffix, factor in _FACTORS.items():
        if quantity.endswith(suffix):
            return Decimal(quantity.removesuffix(suffix)) * factor
    return Decimal(quantity)


def _owner(value: str) -> str:
    if not OWNER.fullmatch(value):
        raise ValueError("is not a GitHub owner; letters, digits and single inner hyphens, at most 39")
    return value


def _repository(value: str) -> str:
    if not REPOSITORY.fullmatch(value) or value in {".", ".."} or value.lower().endswith((".git", ".wiki")):
        raise ValueError(
            "is not a GitHub repository name; letters, digits, '.', '_', '-', at most 100, no .git at the end"
        )
    return value


def _branch(value: str) -> str:
    bad = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|\.lock(?:/|$)|/\.|^refs/|^@$", value)
    if bad or not value or len(value) > 200 or not value.isprintable():
        raise ValueError("is not a branch name that git accepts; name the branch without refs/heads/")
    return value


def _memory(value: str) -> str:
    if not MEMORY.fullmatch(value):
        raise ValueError('is not an amount of bytes; write it like "2Gi" or "512Mi"')
    if not LEAST_BYTES <= amount(value) <= MOST_BYTES:
        raise ValueError('is out of all proportion; write it with its unit, like "2Gi" or "512Mi"')
    return value


def _cpu(value: str) -> str:
    if not CPU.fullmatch(value) or amount(value) <= 0:
        raise ValueError('is not an amount of CPU; write it like "1", "0.5" or "500m", in quotes')
    return value


def _plain_text(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be one line of printable text; write it without line breaks and control signs")
    return value


def _hostname(value: str) -> str:
    if len(value) > 253 or not HOSTNAME.fullmatch(value):
        raise ValueError("is not a host name; write it like widgets.example.org, without scheme and path")
    return value


def _devcontainer(value: str) -> str:
    folder = value.split("/")[1:2]
    if not DEVCONTAINER.fullmatch(value) or not value.isprintable() or folder in (["."], [".."]):
        raise ValueError(
            "is no place of a dev container file; write .devcontainer/devcontainer.json, .devcontainer.json "
            "or .devcontainer/FOLDER/devcontainer.json"
        )
    return value


def _shaped(pattern: re.Pattern[str], *examples: str) -> Any:  # noqa: ANN401 - what pydantic's Field returns
    """Tell editors the shape too; what a pattern cannot say is left to the validators."""
    return Field(json_schema_extra={"pattern": f"^{pattern.pattern}$", "examples": list(examples)})


Owner = Annotated[str, AfterValidator(_owner), _shaped(OWNER, "acme")]
Name = Annotated[str, AfterValidator(_repository), _shaped(REPOSITORY, "widgets")]
Branch = Annotated[str, Field(max_length=200), AfterValidator(_branch), _shaped(BRANCH, "main", "release/2")]
Memory = Annotated[str, AfterValidator(_memory), _shaped(MEMORY, "2Gi", "512Mi")]
Cpu = Annotated[str, AfterValidator(_cpu), _shaped(CPU, "1", "500m")]
Text = Annotated[str, Field(max_length=200), AfterValidator(_plain_text), _shaped(TEXT, "Gears & Cogs")]
Devcontainer = Annotated[
    str,
    Field(max_length=200),
    AfterValidator(_devcontainer),
    _shaped(DEVCONTAINER, ".devcontainer/api/devcontainer.json"),
]
Hostname = Annotated[str, AfterValidator(_hostname), _shaped(HOSTNAME, "widgets.example.org")]


KIND = "project"


class ResourceLimits(Strict):
    """What the environment's pod asks for and may take."""

    memory_request: Memory = "2Gi"
    """Memory the pod is promised: "2Gi", "512Mi"."""
    memory_limit: Memory = "8Gi"
    """Memory the pod may use at most."""
    cpu_request: Cpu = "1"
    """CPU the pod is promised, in quotes: "1", "0.5", "500m"."""
    cpu_limit: Cpu = "4"
    """CPU the pod may use at most."""
    storage_worktrees: Memory = "20Gi"
    """The volume with the clone and its worktrees. May grow, never shrink."""
    storage_claude: Memory = "1Gi"
    """The volume with Claude's settings and sessions. May grow, never shrink."""


class GatewayPreferences(Strict):
    """The project's gateway preferences."""

    team_alias: Text | None = None
    """The team's name in LiteLLM; by default owner/repo."""
    default_model: Text | None = None
    """The only model that the project may use, and its default; by default what the configuration allows."""
    max_budget: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """US dollars a month."""


class AppPreferences(Strict):
    """What is passed on to the auth-service."""

    cloudflare_domain: Hostname | None = None
    """The domain under which the environment is reached."""
    terminal_streaming_rate: Annotated[int, Field(ge=1, le=60_000)] | None = None
    """Milliseconds between two publishes of the terminal."""


class OnboardProjectRequest(Strict):
    """What to onboard, and how: the body of mesh-six's onboarding API, field by field."""

    repo_owner: Owner
    """The GitHub user or organization."""
    repo_name: Name
    """The repository, without its owner."""
    display_name: Text | None = None
    """What people read instead of the slug."""
    default_branch: Branch | None = None
    """The branch that the environment clones; by default GitHub's."""
    resource_limits: ResourceLimits = ResourceLimits()
    """What the environment may take."""
    skip_auth: bool = False
    """No Claude login: the environment uses the LLM gateway with a key and budget of its own."""
    skip_lite_llm: Annotated[bool, Field(alias="skipLiteLLM")] = False
    """No team and no key at the LLM gateway."""
    litellm: GatewayPreferences = GatewayPreferences()
    """Preferences at the LLM gateway."""
    settings: AppPreferences = AppPreferences()
    """Settings that the environment reads from the auth-service."""


class ProjectSpec(OnboardProjectRequest, Spec):
    """A file of kind `project`: the request, and what every kind of file may say."""

    kind: Literal["project"] = "project"
    """What the file asks for."""
    devcontainer: Devcontainer | None = None
    """The dev container file that the environment is built from, of several; by default the one that tools
    look for first."""

    def asks_the_same(self, other: Self) -> bool:
        """Compare what a request could have asked for; letter case of the repository apart."""
        mine, theirs = (
            {name: getattr(spec, name) for name in OnboardProjectRequest.model_fields}
            | {"repo_owner": spec.repo_owner.lower(), "repo_name": spec.repo_name.lower()}
            for spec in (self, other)
        )
        return mine == theirs

    @property
    def full_name(self) -> str:
        """The repository as the file writes it: owner/name."""
        return f"{self.repo_owner}/{self.repo_name}"

    def spelled(self, full_name: str) -> ProjectSpec:
        """Return the file with the repository's letter case as in `full_name`, if that is the same name.

        GitHub takes ACME/widgets for acme/widgets; a bucket or a proxy does not. Another name is another
        matter: a renamed repository keeps what it had until somebody edits the file.
        """
        if full_name.lower() != self.full_name.lower():
            return self
        owner, _, name = full_name.partition("/")
        return self.model_copy(update={"repo_owner": owner, "repo_name": name})

    def default_slug(self) -> str:
        """Return owner-repo, made safe."""
        return slug_of(f"{self.repo_owner}-{self.repo_name}")

    def claim(self) -> str:
        """Two files may not name one repository, in whatever letter case."""
        return f"repository {self.full_name.lower()}"

    @property
    def title(self) -> str:
        """The repository."""
        return self.full_name

    def contradictions(self) -> Sequence[tuple[tuple[str, ...], str]]:
        """Refuse every request above its limit."""
        limits = self.resource_limits
        pairs = (
            ("memoryRequest", limits.memory_request, limits.memory_limit),
            ("cpuRequest", limits.cpu_request, limits.cpu_limit),
        )
        return [
            (("resourceLimits", name), f"{request} is more than the limit {limit}")
            for name, request, limit in pairs
            if amount(request) > amount(limit)
        ]
