"""Where GitHub is and who we are there."""

from __future__ import annotations

from typing import ClassVar

from pydantic import AliasChoices, Field, SecretStr

from reconciler.model.errors import ConfigurationError
from reconciler.settings.giving import HeaderSecret, Settings, WebAddress


class GitHubSettings(Settings):
    """A user's token, or a GitHub App's installation. Required."""

    section: ClassVar[str] = "github"
    place: ClassVar[tuple[str, ...]] = ("api_url",)

    api_url: WebAddress = Field(
        "https://api.github.com",
        validation_alias=AliasChoices("apiUrl", "GITHUB_API_URL"),
    )
    """`https://api.github.com`, or `https://HOST/api/v3` for Enterprise Server."""
    token: HeaderSecret | None = Field(None, validation_alias=AliasChoices("token", "GITHUB_TOKEN"))
    """A user's token. Beats the App, if both are given."""
    write_pause: float = Field(1.0, ge=0, le=60)
    """Seconds between two writes (GitHub asks for one after the other, a second apart)."""
    app_id: str | None = Field(None, validation_alias=AliasChoices("appId", "GITHUB_APP_ID"))
    """The GitHub App, instead of a token."""
    installation_id: int | None = Field(
        None, validation_alias=AliasChoices("installationId", "GITHUB_APP_INSTALLATION_ID")
    )
    """The installation of that App."""
    private_key: SecretStr | None = Field(
        None, validation_alias=AliasChoices("privateKey", "GITHUB_APP_PRIVATE_KEY")
    )
    """The App's private key, PEM."""

    def check(self) -> None:
        """Raise ConfigurationError without a credential: all else hangs on a repository."""
        if not (self.token or self.app_id):
            raise ConfigurationError("GitHub is not configured", remedy="set github.token (GITHUB_TOKEN)")
        if self.app_id and not self.token and not (self.installation_id and self.private_key):
            raise ConfigurationError(
                "github.appId is set without the rest of the App",
                remedy="set github.installationId and github.privateKey (GITHUB_APP_PRIVATE_KEY) too",
            )

    @property
    def is_user(self) -> bool:
        """Whether a user stands behind the token, so that GitHub tells the permissions of that user."""
        return self.token is not None and not self.token.get_secret_value().startswith("ghs_")

    @property
    def manages_boards_of_users(self) -> bool:
        """False for an App's token and a fine-grained one.

        Those see an empty list in place of a user's boards, without an error, and would create for ever.
        """
        token = self.token.get_secret_value() if self.token else ""
        return self.is_user and not token.startswith("github_pat_")
