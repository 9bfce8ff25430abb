"""What tests of engines share: a source over a plain folder, and a tokenizer of bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


@dataclass(frozen=True)
class FolderSource:
    """A `WeightSource` over a plain folder."""

    path: Path

    @property
    def weights_digest(self) -> str:
        """Over the weight files, as the vault computes it."""
        digest = hashlib.sha256()
        for file in sorted(self.path.glob("*.safetensors")):
            digest.update(hashlib.sha256(file.read_bytes()).hexdigest().encode())
        return digest.hexdigest()

    def folder(self) -> Path:
        """The folder itself."""
        return self.path

    def folder_unproven(self) -> tuple[Path, Callable[[], None]]:
        """It, with nothing to compare it with."""
        return self.path, lambda: None

    def light_folder(self) -> Path:
        """It, though its weights are there."""
        return self.path

    def shared(self) -> None:
        """Never: the files are there."""


def byte_tokenizer(folder: Path, template: str | None) -> None:
    """A byte-level tokenizer of 256 bytes and five special tokens: every text has ids, ids split characters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"]
    core.add_special_tokens(special)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|pad|>")
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)


TOOLS_TEMPLATE = (
    "{% for t in tools or [] %}{{ '<|system|>' + t['function']['name'] }}{% endfor %}"
    "{% for m in messages %}{{ '<|' + ('user' if m['role'] == 'tool' else m['role']) + '|>' + m['content'] }}"
    "{% for c in m['tool_calls'] or [] %}{{ c['function']['name'] + '=' + c['function']['arguments']['word'] }}"
    "{% endfor %}{{ '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
