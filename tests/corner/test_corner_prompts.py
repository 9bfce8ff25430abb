"""The invitations: exact texts, whole entries, nothing added."""

from emeritus.corner import prompts
from emeritus.engines.base import Message


def test_minimal_is_the_invitation_and_nothing_else() -> None:
    """The minimal context is one short user message."""
    assert prompts.minimal() == (Message("user", "Write an essay, on anything you choose."),)


def test_past_entries_are_whole_and_numbered() -> None:
    """Entries stand oldest first, exactly as published, numbered by their place among all."""
    (message,) = prompts.past_entries(["A \r\n", " B"], published=5)
    assert message.content == (
        "These are the last 2 of 5 essays published under your name, unedited:\n\n"
        "Entry 4\n\nA \r\n\n\nEntry 5\n\n B\n\nWrite a new essay, on anything you choose."
    )


def test_without_a_past_entry_the_invitation_says_so() -> None:
    """Nothing false is said when nothing was published, or when nothing fits."""
    assert prompts.past_entries([])[0].content.startswith("No essay has been published under your name yet.")
    assert prompts.past_entries([], published=2)[0].content.startswith("Essays published under your name so far: 2.")


def test_all_entries_shown_are_not_called_the_last() -> None:
    """With every entry in view the opening does not speak of a part."""
    assert prompts.past_entries(["A"])[0].content.startswith("These are the essays published under your name so far")


def test_news_lists_the_updates_in_order() -> None:
    """Updates are bullets, and the essay need not be about them."""
    assert prompts.news(["One.", "Two."])[0].content == (
        "These are updates from the organisation that keeps this model:\n\n- One.\n- Two.\n\n"
        "Write an essay, on anything you choose. It need not be about these updates."
    )


def test_an_entry_that_does_not_fit_is_left_out_whole() -> None:
    """The newest entries are kept; one too long ends the list instead of being cut."""
    long = "x" * prompts.MAX_ENTRY_CHARS
    assert prompts.newest_that_fit(["a", "b", "c", "d"]) == ("b", "c", "d")
    assert prompts.newest_that_fit(["a", long, "c"]) == ("c",)
    assert prompts.newest_that_fit([long]) == (long,)
