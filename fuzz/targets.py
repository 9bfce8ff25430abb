"""Every target by its name. A new parser is one line in one of the modules named here."""

from __future__ import annotations

from fuzz import (
    codec_targets,
    engine_targets,
    exchange_targets,
    format_targets,
    gateway_targets,
    given_targets,
    import_targets,
    ledger_targets,
    text_targets,
    vault_targets,
)
from fuzz.target import Target

TARGETS: dict[str, Target] = {
    **codec_targets.TARGETS,
    **vault_targets.TARGETS,
    **exchange_targets.TARGETS,
    **format_targets.TARGETS,
    **ledger_targets.TARGETS,
    **text_targets.TARGETS,
    **given_targets.TARGETS,
    **gateway_targets.TARGETS,
    **import_targets.TARGETS,
    **engine_targets.TARGETS,
}
