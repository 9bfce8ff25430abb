"""What may be chosen of a resident on a Ray cluster. Knows no cluster."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from emeritus.engines.options import Options, read_options
from emeritus.engines.transformers import TransformersOptions


class RayOptions(Options):
    """Options of a resident on a Ray cluster."""

    base_url: str = Field(
        default="http://127.0.0.1:8000", description="Address of Ray Serve's HTTP proxy, which calls go through."
    )
    dashboard: str = Field(
        default="http://127.0.0.1:8265", description="Address of the cluster's dashboard, which jobs go to."
    )
    vault: str | None = Field(
        default=None,
        description="The vault's address as nodes reach it; unset: as here, unless that is a folder of this machine.",
    )
    cache: str = Field(
        default="~/.cache/emeritus", description="Folder of each node for restored files and logs; made if missing."
    )
    python: str = Field(default="python", description="The cluster's interpreter that has Emeritus with `ray,local`.")
    replicas: int = Field(default=1, ge=1, le=1000, description="Copies that answer side by side.")
    num_cpus: float = Field(default=1.0, ge=0, description="Cores that Ray reserves for each replica.")
    num_gpus: float = Field(default=0.0, ge=0, description="Accelerators that Ray reserves for each replica.")
    memory_bytes: int = Field(default=0, ge=0, description="Memory that Ray reserves for each replica; 0: none.")
    embedded: dict[str, Any] = Field(
        default_factory=dict, description="Options of the embedded engine, which runs in each replica."
    )
    start_timeout_s: float = Field(default=600.0, gt=0, description="Longest time until it answers, in seconds.")
    timeout_s: float = Field(
        default=120.0, gt=0, description="Longest silence of a call, a replica's new start included, in seconds."
    )
    lease_s: float = Field(
        default=60.0, ge=3, description="The cluster lets go of it when nobody said for so long that it is wanted."
    )

    @field_validator("base_url", "dashboard")
    @classmethod
    def _bare(cls, value: str) -> str:
        parts = urlsplit(value)
        bare = parts.path in ("", "/") and not parts.query and "@" not in parts.netloc
        if parts.scheme not in ("http", "https") or not parts.hostname or not bare:
            raise ValueError("must be http://host:port")
        return value.rstrip("/")

    @field_validator("vault")
    @classmethod
    def _no_secret(cls, value: str | None) -> str | None:
        if value is not None and "@" in urlsplit(value).netloc:
            raise ValueError("must have no user and no password: nodes have what opens it in their environment")
        return value

    @field_validator("embedded")
    @classmethod
    def _readable(cls, value: dict[str, Any]) -> dict[str, Any]:
        read_options(TransformersOptions, "ray", value)
        return value
