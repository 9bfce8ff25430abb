"""Parity over packs: what brings lost or damaged packs back without any other copy. Format in docs/format.md.

`build` makes it while packs are written or afterwards, `groups` tells which packs it covers, `mend` uses it.
"""
