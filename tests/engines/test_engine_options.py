"""Options are recorded publicly and for ever: whatever may be a secret among them is refused before that."""

from typing import Any

import pytest

from emeritus.engines.open import check_options
from emeritus.errors import BadSettings

UPSTREAM = {"base_url": "https://api.example.org/v1", "model": "m"}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("upstream", {**UPSTREAM, "base_url": "https://ana:s3cret@api.example.org/v1"}),
        ("upstream", {**UPSTREAM, "base_url": "https://api.example.org/v1?key=s3cret"}),
        ("upstream", {**UPSTREAM, "base_url": "https://api.example.org/v1#s3cret"}),
        ("upstream", {**UPSTREAM, "api_key_env": "sk-s3cret"}),
        ("command", {"command": "vllm serve {folder} --api-key s3cret --port {port}"}),
        ("command", {"command": "vllm serve {folder} --hf-token=s3cret --port {port}"}),
        ("command", {"command": "vllm serve {folder} --port {port}", "environment": {"HF_TOKEN": "s3cret"}}),
        ("command", {"command": "vllm serve {folder} --port {port}", "environment": {"AWS_SECRET_ACCESS_KEY": "s"}}),
    ],
)
def test_what_may_be_a_secret_is_not_recorded(kind: str, options: dict[str, Any]) -> None:
    """In an address, a flag, a variable, or in the place of a variable's name; and the error does not repeat it."""
    with pytest.raises(BadSettings) as refused:
        check_options(kind, options)
    assert "s3cret" not in str(refused.value.as_dict())


def test_what_only_sounds_like_one_is_taken() -> None:
    """Flags about tokens in the plural are no secrets."""
    command = "vllm serve {folder} --max-num-batched-tokens 2048 --port {port}"
    check_options("command", {"command": command, "environment": {"TOKENIZERS_PARALLELISM": "false"}})
    check_options("upstream", {**UPSTREAM, "api_key_env": "OLD_KEY"})
