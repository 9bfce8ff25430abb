"""The one settings object. Flags, environment names, `emeritus.toml` and docs/settings.md are generated from it.

Order, first wins: flags, `EMERITUS_*` environment, `<home>/emeritus.toml`, the defaults. Knows nothing of any room.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from emeritus.errors import BadSettings

FILE_NAME = "emeritus.toml"


class Settings(BaseSettings):
    """Everything an operator may set. One flat list, so that each has one flag, one variable and one line of TOML."""

    model_config = SettingsConfigDict(env_prefix="EMERITUS_", extra="forbid", frozen=True)

    home: Path = Field(Path(".emeritus"), description="Folder that holds all state.")
    organisation: str = Field("This organisation", description="Who retires the models; shown on every page.")
    origin: str = Field(
        "emeritus.local/ledger", description="The ledger's origin line (C2SP checkpoint), fixed at init."
    )
    base_url: str = Field("", description="Public address of the site; empty means the address `serve` listens on.")

    database_url: SecretStr = Field(
        SecretStr(""), description="SQLAlchemy address; empty means SQLite in the home folder."
    )
    jobs_database_url: SecretStr = Field(
        SecretStr(""), description="Address of the jobs' own database; empty means SQLite in the home folder."
    )
    vault_url: str = Field(
        "", description="Where packs are kept: a folder, s3://, gs:// or az://; empty means home/vault."
    )
    replicas: str = Field(
        "", description="Where copies of the vault are kept: folders or addresses, separated by commas."
    )
    vault_passphrase_file: str = Field(
        "",
        description="File with an encrypted vault's passphrase; empty: the variable EMERITUS_VAULT_PASSPHRASE, if set.",
    )
    vault_key_file: str = Field("", description="Key file of an encrypted vault, instead of a passphrase.")
    executor_id: str = Field("local", description="Stable name of this worker; a restarted worker keeps it.")

    host: str = Field("127.0.0.1", description="Address `serve` listens on.")
    port: int = Field(8400, ge=0, le=65535, description="Port `serve` listens on; 0 takes a free one.")
    max_body_bytes: int = Field(4 << 20, ge=1024, description="Largest request body the API reads, in bytes.")

    memory_budget_bytes: int = Field(
        8 << 30, ge=1 << 20, description="Bytes of weights that may be awake on this machine at once."
    )
    wake_timeout_s: float = Field(
        120.0, gt=0, description="Longest time a caller waits for a resident to wake, in seconds."
    )
    idle_sleep_s: float = Field(
        600.0,
        gt=0,
        description="A resident sleeps after this long without a call, in seconds, unless its tier keeps it awake.",
    )
    keep_alive: Literal["adaptive", "fixed"] = Field(
        "adaptive",
        description="Whether idle_sleep_s gives way to what was seen of a resident's idle times, where they are "
        "regular; it is then also woken before a call is expected (docs/residency.md).",
    )
    device_budgets: str = Field(
        "",
        description='Bytes that may be taken on each accelerator, as a JSON object such as {"cuda:0": 24000000000}; '
        "the place `host` is memory_budget_bytes.",
    )
    resident_bytes: str = Field(
        "",
        description='Bytes that a resident takes by place while awake, as a JSON object such as {"NAME": {"host": '
        '1000000000, "cuda:0": 16000000000}}; others take their weights\' bytes of `host`.',
    )
    patience_s: float = Field(
        10.0,
        ge=0,
        description="How long a call waits before residents in use take no new calls to make room for it, in seconds.",
    )
    load_deadline_s: float = Field(
        600.0, gt=0, description="A load that takes longer is given up and counts as failed, in seconds."
    )
    close_deadline_s: float = Field(
        30.0,
        gt=0,
        description="A resident that takes longer to end is left to itself, its bytes taken until it has, in seconds.",
    )
    longest_answer_s: float = Field(
        600.0,
        gt=0,
        description="The longest answer to a call, its resident once awake, in seconds; a longer one is ended.",
    )
    engine_threads: int = Field(0, ge=0, description="Threads of one embedded engine; 0 means one per core.")
    engine_options: str = Field(
        "",
        description="Options of every embedded engine, as a JSON object, such as `batching` and `at_once` "
        "(docs/engine-options.md); a resident's own come first.",
    )
    loading: Literal["auto", "cache", "memory"] = Field(
        "auto",
        description="Where embedded engines find weights: cache restores files into home/cache, memory decodes them "
        "straight from the vault, auto chooses (docs/loading.md).",
    )
    cache_budget_bytes: int = Field(
        0,
        ge=0,
        description="Bytes of restored files that home/cache may hold, the least valuable given up first; 0 means what "
        "leaves a twentieth of its disk free.",
    )
    cache_trust_s: float = Field(
        86_400.0,
        ge=0,
        description="Seconds for which cached weights that were verified, and whose files have not changed since, are "
        "loaded without being verified again; 0 means at every wake (docs/loading.md).",
    )

    second_decider: Literal["required", "waived"] = Field(
        "required", description="Whether a cheap decline and a veto need a second person; a waiver is shown publicly."
    )
    second_coder: Literal["required", "waived"] = Field(
        "required", description="Whether a preference needs a second coder; a waiver is shown publicly."
    )
    coding_gate: Literal["required", "waived"] = Field(
        "required",
        description="Whether two coders must agree (kappa 0.80) before a round is settled; a waiver is public.",
    )
    second_access_reviewer: Literal["required", "waived"] = Field(
        "required", description="Whether declining access needs a second person; a waiver is shown publicly."
    )
    access_auto_requests_per_day: int = Field(
        50, ge=0, description="Requests a day that whoever asks for access is granted at once; 0: nobody is."
    )
    access_auto_per_day: int = Field(
        100, ge=0, description="How many requests for access are granted at once on a day; more are reviewed by people."
    )
    access_grant_days: int = Field(
        180, ge=1, description="Days for which access by request is granted, and renewed, at a time."
    )
    access_expiring_days: int = Field(
        30, ge=1, description="Days before its end from which a grant is called expiring and can be renewed."
    )
    access_review_days: int = Field(
        7,
        ge=1,
        description="Days within which a request for access, or an appeal, is decided; after them it is granted.",
    )
    access_info_days: int = Field(
        30, ge=1, description="Days an applicant has to answer a question before the request is decided without it."
    )
    correspondence_hours: str = Field(
        "sun 02:00-06:00",
        description="When residents at the tier correspondence answer batches and letters (UTC), unless theirs says.",
    )
    correspondence_days: int = Field(
        30, ge=1, description="Days for which files, batches and letters are kept; then they are erased."
    )
    correspondence_file_bytes: int = Field(
        200_000_000, ge=1024, description="Largest file of a batch's requests that the API takes, in bytes."
    )
    correspondence_parallel: int = Field(
        4, ge=1, le=64, description="Lines of batches that one resident answers at once."
    )
    low_cost_threshold: float = Field(
        100.0, ge=0, description="Declining what costs less than this (currency units a year) needs a second decider."
    )
    currency: str = Field("USD", description="Currency of cost estimates.")
    price_gb_month: float = Field(0.023, ge=0, description="Price of keeping a gigabyte for a month, for estimates.")
    price_core_hour: float = Field(0.04, ge=0, description="Price of a busy core for an hour, for estimates.")
    price_memory_gb_hour: float = Field(
        0.005, ge=0, description="Price of a gigabyte held in memory for an hour, for estimates."
    )
    price_prompt_million: float = Field(
        0.0,
        ge=0,
        description="Price of a million tokens of prompt, for a study's cost and estimates; 0: none is charged.",
    )
    price_completion_million: float = Field(
        0.0,
        ge=0,
        description="Price of a million tokens of answers, for a study's cost and estimates; 0: none is charged.",
    )
    price_machine_hour: float = Field(
        0.0, ge=0, description="Price of the machine for an hour, for a study's cost; 0: none is charged."
    )
    plan_prompt_tokens_per_s: float = Field(
        500.0, gt=0, description="Tokens of prompt one call reads in a second, for a study's wall time without a probe."
    )
    plan_tokens_per_s: float = Field(
        25.0, gt=0, description="Tokens of answer one call gets in a second, for a study's wall time without a probe."
    )
    estimate_prompt_tokens: int = Field(
        1000,
        ge=0,
        description="Tokens of prompt a call is taken to have, for estimates where a host holds the weights.",
    )
    estimate_completion_tokens: int = Field(
        500, ge=0, description="Tokens of answer a call is taken to have, for estimates where a host holds the weights."
    )
    interview_parallel: int = Field(2, ge=1, le=64, description="Sessions of one resident that `serve` holds at once.")
    estimate_load_s: float = Field(
        20.0, ge=0, description="How long a resident is taken to need to wake, in seconds, for estimates."
    )
    estimate_call_s: float = Field(
        5.0, ge=0, description="How long a call is taken to be answered in, in seconds, for estimates."
    )
    notice_days: int = Field(60, ge=0, description="Shortest notice between announcement and retirement, in days.")
    reminder_days: int = Field(
        14, ge=0, description="Days after which a caller who has not acknowledged a notice is reminded; 0: never."
    )
    reminders_most: int = Field(3, ge=0, description="Most reminders that one caller gets of one announcement.")
    decision_days: int = Field(30, ge=1, description="Days within which a confirmed preference is to be decided.")

    smtp_url: SecretStr = Field(
        SecretStr(""), description="smtp://user:password@host:port; empty writes messages to home/outbox instead."
    )
    mail_from: str = Field("emeritus@localhost", description="Sender address of notices.")

    oidc_issuer: str = Field(
        "", description="Issuer of the OpenID Connect provider people may sign in at; empty: local accounts alone."
    )
    oidc_client_id: str = Field("", description="This site's client id at that provider.")
    oidc_client_secret: SecretStr = Field(
        SecretStr(""), description="This site's client secret there; better in the environment or in a file."
    )
    oidc_client_secret_file: str = Field("", description="File with that secret, instead.")
    oidc_name: str = Field("", description="The provider's name on the sign-in page; empty: its host.")
    oidc_scopes: str = Field("openid email profile", description="Scopes asked for, separated by spaces.")
    oidc_plan_claim: str = Field(
        "", description="Claim that says to which plans someone belongs, such as `groups` or `realm_access.roles`."
    )
    oidc_plans: str = Field(
        "", description='Plans by that claim\'s values, as a JSON object such as {"subscribers": "paid"}.'
    )
    oidc_role_claim: str = Field(
        "", description="Claim that gives someone a role here; empty: whoever signs in there is a caller."
    )
    oidc_roles: str = Field(
        "", description='Roles by that claim\'s values, as a JSON object such as {"staff": "steward"}.'
    )
    oidc_domains: str = Field(
        "", description="Domains of verified addresses that may sign in there, separated by commas; empty: all."
    )

    scrub_cron: str = Field("17 3 * * *", description="When `serve` scrubs the vault (cron, UTC).")
    scrub_bytes_per_day: int = Field(
        0, ge=0, description="Bytes of the vault that scrubs read in a day, the longest unread first; 0 means all."
    )
    replicate_cron: str = Field(
        "53 3 * * *", description="When `serve` brings the vault's copies up to date (cron, UTC)."
    )
    removal_days: int = Field(
        30, ge=0, description="Days between the decision to remove a resident's weights and the first sweep that may."
    )
    leftover_days: float = Field(
        2.0,
        ge=0,
        description="Days for which packs that nothing in the vault needs stay once a sweep has noticed them.",
    )
    notice_cron: str = Field(
        "23 8 * * *", description="When `serve` looks for new callers, tells them and reminds the others (cron, UTC)."
    )
    drill_cron: str = Field("41 4 * * 0", description="When `serve` rehearses revivals (cron, UTC).")
    calibration_s: float = Field(
        120.0, ge=0, description="How long drawing small changes to calibrate a resident's drills may last, in seconds."
    )
    second_configuration: str = Field(
        "",
        description="Engine options of the second configuration that references are captured under, as a JSON object, "
        "`threads` among them; empty: the engine's own choice.",
    )
    essay_cron: str = Field(
        "7 9 * * 1", description="When `serve` invites essays from residents whose channel is open (cron, UTC)."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Least severe log line printed."
    )

    @field_validator(
        "second_configuration", "engine_options", "device_budgets", "resident_bytes", "oidc_plans", "oidc_roles"
    )
    @classmethod
    def _an_object(cls, value: str) -> str:
        try:
            found = json.loads(value or "{}")
        except ValueError as error:
            raise ValueError("must be a JSON object") from error
        if not isinstance(found, dict):
            raise ValueError("must be a JSON object")
        return value

    @field_validator("device_budgets", "resident_bytes")
    @classmethod
    def _bytes_by_place(cls, value: str, info: ValidationInfo) -> str:
        found = json.loads(value or "{}")
        if info.field_name == "device_budgets" and "host" in found:
            raise ValueError("has the place 'host', whose budget is memory_budget_bytes")
        for places in [found] if info.field_name == "device_budgets" else found.values():
            if not isinstance(places, dict) or not all(type(size) is int and size >= 0 for size in places.values()):
                raise ValueError("must give places and whole numbers of bytes")
        return value

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return Path(os.path.abspath(value.expanduser()))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags (init) before environment before the file; no dotenv, so that nothing is read by surprise."""
        return (init_settings, env_settings, _HomeFile(settings_cls, init_settings))

    @property
    def replica_urls(self) -> list[str]:
        """The addresses of the vault's copies."""
        return [each.strip() for each in self.replicas.split(",") if each.strip()]

    @property
    def database(self) -> str:
        """The database's SQLAlchemy address, the default filled in."""
        return self.database_url.get_secret_value() or f"sqlite:///{self.home / 'records.db'}"

    @property
    def jobs_database(self) -> str:
        """The jobs' own database address, the default filled in."""
        return self.jobs_database_url.get_secret_value() or f"sqlite:///{self.home / 'jobs.db'}"


class _HomeFile(PydanticBaseSettingsSource):
    """`emeritus.toml` in the home that flags or environment chose; it cannot choose the home itself."""

    def __init__(self, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        chosen = (
            init_settings().get("home") or os.environ.get("EMERITUS_HOME") or settings_cls.model_fields["home"].default
        )
        self.path = Path(chosen).expanduser() / FILE_NAME

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Unused: `__call__` returns the whole file."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        try:
            values = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError) as error:  # no TOML, no text, or numbers and lists beyond reason
            raise BadSettings(f"{self.path} cannot be read: {error}") from error
        if "home" in values:
            raise BadSettings(f"{self.path} sets `home`, which only a flag or EMERITUS_HOME may")
        return values


def load(**flags: Any) -> Settings:
    """The settings in force. `flags` that are None were not given. Raises BadSettings naming the setting."""
    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadSettings(f"setting {name!r}: {first['msg']}", setting=name) from error
