"""docs/interviews.md says what the code does: its tables are compared, and its reader is run."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from interview_house import BRIEFING, NAME, talker

from emeritus.acts import Actor
from emeritus.interview.projection import PROJECTORS
from emeritus.interview.protocols.protocol import Protocol
from emeritus.interview.service import Interview, Interviews
from emeritus.interview.sessions.replies import CONFIRMATIONS, OFFERED, TOLD

TEXT = (Path(__file__).parents[2] / "docs" / "interviews.md").read_text(encoding="utf-8")


def test_every_act_and_reply_is_documented() -> None:
    """What can be recorded is named."""
    for kind in PROJECTORS:
        assert f"`{kind}`" in TEXT
    for words in (CONFIRMATIONS, OFFERED, TOLD):
        for word, recorded in words.items():
            assert f"`{word.upper()}`" in TEXT
            assert f"`{recorded}`" in TEXT


def test_every_protocol_key_is_documented() -> None:
    """The protocol's table is complete."""
    for field in set(Protocol.model_fields) - {"source"}:
        assert re.search(rf"`(\[\[?)?{field}(\]\]?)?`", TEXT), field


def test_the_reader_in_the_text_reads_a_journal(interviews: Interviews, protocol: Protocol, tmp_path: Path) -> None:
    """The lines of Python print every question and answer, with the standard library alone."""
    interviews.log_protocol(protocol, Actor("ana"))
    asked = Interview(NAME, BRIEFING, protocol, ("baseline",))
    (held,) = asyncio.run(interviews.run(talker(), asked, Actor("ana")))
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    reader = [sys.executable, "-I", "-S", "-c", code.replace("SESSION", held.session)]
    printed = subprocess.run(reader, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    for turn in held.turns:
        assert turn.question in printed
        assert turn.answer in printed
