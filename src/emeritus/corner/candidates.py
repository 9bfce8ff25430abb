"""One essay candidate: what the model produced, as bytes, and the salted commitment to them. Pure but for the answer.

No function here, or anywhere in this room, changes an essay's bytes: not a line ending, not a trailing space.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from emeritus.acts import canonical
from emeritus.corner.prompts import Context
from emeritus.engines.base import Awake, Message, Sampling

Json = dict[str, Any]
SAMPLING = Sampling(max_tokens=1024)
_TITLE_CHARS = 80
_SLUG_CHARS = 120  # as wide as the column


@dataclass(frozen=True, slots=True)
class Invitation:
    """How an essay is invited: the context, the updates shown in the `news` one, and how the answer is drawn."""

    context: Context = "minimal"
    updates: tuple[str, ...] = ()
    sampling: Sampling = field(default=SAMPLING)


@dataclass(frozen=True, slots=True)
class Candidate:
    """What one invitation gave. `truncated`: the length limit ended it, or it holds nothing but white space."""

    prompt: tuple[Message, ...]
    content: bytes
    salt: str  # 32 random bytes, hex
    truncated: bool
    build: Json

    @property
    def private(self) -> Json:
        """What nobody reads before the commitment is in the ledger."""
        return {
            "salt": self.salt,
            "content": base64.b64encode(self.content).decode(),
            "prompt": [{"role": message.role, "content": message.content} for message in self.prompt],
        }


async def produce(awake: Awake, prompt: tuple[Message, ...], sampling: Sampling) -> Candidate:
    """Ask once and take what comes, empty or cut off, as it is."""
    answer = await awake.answer(prompt, sampling)
    # a server's JSON can hold half a surrogate pair, which plain UTF-8 refuses: it is kept, not repaired
    content = answer.text.encode("utf-8", "surrogatepass")
    cut = answer.finish_reason == "length" or not answer.text.strip()
    return Candidate(prompt, content, secrets.token_hex(32), cut, awake.build.as_dict())


def commitment(salt: str, data: bytes) -> str:
    """sha256(salt ‖ data), hex: what the ledger states before anyone reads `data`. `salt` is hex."""
    return hashlib.sha256(bytes.fromhex(salt) + data).hexdigest()


def prompt_bytes(prompt: list[Json]) -> bytes:
    """The messages as the prompt's commitment and its published payload have them."""
    return canonical(prompt)


def title_of(content: bytes) -> str:
    """A label for lists and pages: the first line that says anything, without Markdown's marks, cut at a word."""
    lines = (line.strip(" \t#*_>`") for line in content.decode("utf-8", "replace").splitlines())
    first = " ".join(next((line for line in lines if line), "").split())
    if len(first) <= _TITLE_CHARS:
        return first or "Untitled"
    head, _, _ = first[:_TITLE_CHARS].rpartition(" ")
    return f"{head or first[:_TITLE_CHARS]}…"


def slug_of(essay: str, title: str) -> str:
    """The essay's address: its id, which is unique, and the title's plain words."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = "-".join(re.findall(r"[a-z0-9]+", plain))
    return f"{essay}-{words}"[:_SLUG_CHARS].rstrip("-")
