"""Who we are to an object store: variables and profiles, handed to workers and never written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alsweep.errors import ConfigError
from alsweep.storage.environment import set_unless_set, variable, variables_of
from alsweep.storage.patience import SECONDS

_DAY = str(24 * 3600)
_NAMED_BY = ("AWS_", "GOOGLE_", "GCS_", "AZURE_", SECONDS)
"""How the variables begin that clients of object stores read."""

_OF_THIS_MACHINE = {"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE"}
_FILES = {"AWS_SHARED_CREDENTIALS_FILE": "credentials", "AWS_CONFIG_FILE": "config"}


class Secrets(Mapping[str, str]):
    """Variables of the environment whose values show up in no text."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Any:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._values)})"

    def take(self) -> None:
        """Set them in this process, where they are not set to something else already."""
        set_unless_set(self._values)


def secrets_of_workers() -> Secrets:
    """What a worker on another node needs to reach the stores that this process reaches.

    A profile is a file of this machine: of it workers get the keys that it stands for now. They are
    patient with a store for a day, since a driver that is not ends them.
    """
    own = {SECONDS: _DAY} | variables_of(_NAMED_BY)
    if not _is_by_profile():
        return Secrets(own)
    session = _session()
    found = session.get_credentials()
    keys = {} if found is None else _variables(found.get_frozen_credentials())
    scoped = session._session.get_scoped_config()
    region = session.region_name and {"AWS_REGION": session.region_name}
    endpoint = scoped.get("endpoint_url") and {"AWS_ENDPOINT_URL": scoped["endpoint_url"]}
    rest = {name: value for name, value in own.items() if name not in _OF_THIS_MACHINE}
    return Secrets({**(endpoint or {}), **(region or {}), **keys, **rest})


def options(url: str) -> dict[str, Any]:
    """What a client of a store needs beside the variables, which it reads itself."""
    if not url.startswith("s3:") or not _is_by_profile():
        return {}
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = _session()
    endpoint = session._session.get_scoped_config().get("endpoint_url")
    own = endpoint is not None and not variable("AWS_ENDPOINT_URL")
    return {"credential_provider": Boto3CredentialProvider(session)} | (
        {"config": {"endpoint": endpoint}} if own else {}
    )


def allows_http() -> bool:
    """Whether a store may be asked without encryption, as AWS_ALLOW_HTTP says."""
    return variable("AWS_ALLOW_HTTP").lower() in ("1", "true", "yes", "on")


def _is_by_profile() -> bool:
    """Whether the keys stand in a file: a profile is named, or no variable has them."""
    if variable("AWS_PROFILE") or variable("AWS_DEFAULT_PROFILE"):
        return True
    if variable("AWS_ACCESS_KEY_ID"):
        return False
    home = Path(os.path.expanduser("~")) / ".aws"  # noqa: PTH111 (never raises)
    return any(Path(variable(n) or home / file).is_file() for n, file in _FILES.items())


def _session() -> Any:
    try:
        import boto3
        from botocore.exceptions import ProfileNotFound
    except ImportError:
        raise ConfigError(
            "AWS_PROFILE: profiles are read by the package boto3; pip install 'alsweep[cluster]', "
            "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from None
    try:
        return boto3.session.Session()
    except ProfileNotFound as error:
        raise ConfigError(f"AWS_PROFILE: {error}; mend it, or set AWS_ACCESS_KEY_ID") from None


def _variables(keys: Any) -> dict[str, str]:
    found = {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.token,
    }
    return {name: value for name, value in found.items() if value}
