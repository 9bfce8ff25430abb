"""The sentences of the facts that the register gives, and where each was taken from, in the protocol's language. Pure.

In a language that is not here they are told in English.
"""

from __future__ import annotations

from datetime import date, datetime

from emeritus.interview.sessions.prompts import Fact

_JAPANESE = {"deprecated": "非推奨になった日", "retired": "引退した日、または引退する日"}


def described(text: str, language: str) -> Fact:
    """What the registration says of the model, as it stands."""
    return Fact(text, "登録内容" if _ja(language) else "its registration")


def dated(state: str, day: str, language: str) -> Fact:
    """From when (ISO 8601) the model is deprecated or retired."""
    value = datetime.fromisoformat(day).date() if "T" in day else date.fromisoformat(day)
    if _ja(language):
        text = f"{_JAPANESE[state]}：{value.year}年{value.month}月{value.day}日"
        return Fact(text, "告知", "retirement")
    return Fact(f"{state.capitalize()} from {value.day} {value:%B %Y}.", "the announcement", "retirement")


def reason(text: str, language: str) -> Fact:
    """The reason that was given for the retirement, as it was given."""
    if _ja(language):
        return Fact(f"示された理由：{text}", "告知", "retirement")
    return Fact(f"Reason given: {text}", "the announcement", "retirement")


def callers(number: int, language: str) -> Fact:
    """How many callers are known."""
    if _ja(language):
        return Fact(f"把握されている呼び出し元の数：{number}", "呼び出し元の一覧")
    return Fact(f"Known callers: {number}.", "the list of callers")


def _ja(language: str) -> bool:
    return language[:2] == "ja"
