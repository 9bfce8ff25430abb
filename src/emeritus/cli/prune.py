"""`emeritus prune`: remove weights that a person decided to remove, and what interrupted work left in the vault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from emeritus.cli.context import AsOption, JsonFlag, actor_from, emit, flags_of, progress_bar, show

if TYPE_CHECKING:
    from emeritus.preservation.removal import Marked
    from emeritus.vault.prune import Removal


def command(
    ctx: typer.Context,
    remove: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Decide that a resident's weights are to be removed; see --reason."),
    ] = None,
    undo: Annotated[str | None, typer.Option(metavar="NAME", help="Take such a decision back.")] = None,
    reason: Annotated[str, typer.Option(help="Why; it becomes public in the ledger.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would go now, and its bytes.")] = False,
    person: AsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Remove weights whose time has run out, and packs that nothing needs.

    Residents are normally kept for ever. Where one must not be, a person decides with --remove, which is stated in the
    ledger and removes nothing yet; until the grace (setting removal_days) is over, --undo takes it back. A later
    `emeritus prune` then removes the weights for good; the records, the report and the reference stay. What others are
    kept as differences from cannot be removed. Copies in other stores follow with `emeritus replicate --prune`.

    Example:  emeritus prune --dry-run
    """
    from emeritus.errors import InputError

    if remove and undo:
        raise InputError("--remove and --undo exclude each other")
    if dry_run and (remove or undo):
        raise InputError("--dry-run lists what a sweep would remove; it goes with neither --remove nor --undo")
    done: Removal | None = None
    with flags_of(ctx).app() as app:
        actor = actor_from(person)
        if remove:
            app.removals.mark(remove, reason, actor)
        elif undo:
            app.removals.undo(undo, reason, actor)
        else:
            with progress_bar(as_json) as progress:
                done = app.removals.prune(actor, dry_run=dry_run, progress=progress)
        marked = app.removals.marked()
    if as_json:
        emit({"marked": [_marked(each) for each in marked], "dry_run": dry_run, "removal": _removal(done)})
        return
    if remove:
        show("Residents are normally kept for ever. Nothing is removed yet; take it back with")
        show(f"  emeritus prune --undo {remove} --reason R")
    if undo:
        show(f"{undo} stays.")
    if done is not None:
        _show(done, dry_run)
    for each in marked:
        show(f"to be removed: {each.resident}, from {each.due} on ({each.by}: {each.reason})")


def _show(done: Removal, dry_run: bool) -> None:
    would = "would go" if dry_run else "went"
    for key, size in done.objects:
        show(f"{size:>14,}  {key}")
    show(f"{done.bytes:>14,}  bytes in {len(done.objects)} objects {would}")
    for name in done.residents:
        show(f"the weights of {name} {would if dry_run else 'are gone'}")
    if done.shared:
        show(f"packs of these that stay, for others need what is in them: {len(done.shared)}")
    for key, days in done.waiting:
        show(f"needed by nothing, stays for {days:.1f} days: {key}")


def _marked(each: Marked) -> dict[str, str]:
    return {"name": each.resident, "at": each.at, "by": each.by, "reason": each.reason, "due": each.due}


def _removal(done: Removal | None) -> dict[str, object] | None:
    if done is None:
        return None
    return {
        "residents": list(done.residents),
        "objects": [{"key": key, "bytes": size} for key, size in done.objects],
        "bytes": done.bytes,
        "waiting": [{"key": key, "days": days} for key, days in done.waiting],
        "shared": list(done.shared),
    }
