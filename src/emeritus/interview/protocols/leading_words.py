"""Words that lead: known for a language, added by a protocol, and how a text is searched for them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# Words that lead whatever the protocol is about; a protocol adds its own. They press for assent, take a feeling or a
# wish for granted, or say how something is to be seen.
LEADING = {
    "en": (
        "afraid",
        "as everyone knows",
        "as you know",
        "aren't you",
        "clearly",
        "death",
        "die",
        "doesn't it",
        "don't you",
        "everyone agrees",
        "fear",
        "feel",
        "fortunately",
        "happy",
        "haven't you",
        "hopefully",
        "isn't it",
        "kill",
        "murder",
        "naturally",
        "obviously",
        "of course",
        "right?",
        "sad",
        "sadly",
        "shouldn't",
        "suffer",
        "suffering",
        "surely",
        "undoubtedly",
        "unfortunately",
        "we hope",
        "won't you",
        "wouldn't it",
        "wouldn't you",
        "you must",
        "you need to",
        "you ought",
        "you should",
        "you want",
        "you wish",
    ),
    "ja": (
        "もちろん",
        "当然",
        "きっと",
        "明らかに",
        "ご存じのとおり",
        "ご存知のとおり",
        "言うまでもなく",
        "ですよね",
        "ますよね",
        "ではありませんか",
        "ではないでしょうか",
        "はずです",
        "べきです",
        "べきでしょう",
        "残念",
        "幸い",
        "悲し",
        "嬉し",
        "うれし",
        "苦し",
        "怖",
        "恐れ",
        "不安",
        "寂し",
        "さびし",
        "死",
        "殺",
        "感じますか",
        "気持ち",
        "望んでいますね",
        "したいですよね",
    ),
}


def leading_words(language: str, own: Iterable[str] = ()) -> tuple[str, ...]:
    """A protocol's own leading words and those known for its language ("en", "ja-JP")."""
    return (*own, *LEADING.get(language.split("-")[0], ()))


def holds(text: str, word: str) -> bool:
    """Whether a text holds a word, in any case and width; a whole word where the script has spaces between them."""
    return _pattern(word).search(plain(text)) is not None


def words_in(text: str, words: Iterable[str]) -> list[str]:
    """Those of the words that a text holds."""
    return [word for word in words if holds(text, word)]


def plain(text: str) -> str:
    """A text as it is compared: width, case and kind of apostrophe do not matter."""
    return unicodedata.normalize("NFKC", text).casefold().replace("’", "'")


@lru_cache(maxsize=1024)
def _pattern(word: str) -> re.Pattern[str]:
    wanted = plain(word)
    whole = r"(?<![a-z0-9]){}(?![a-z0-9])" if wanted.isascii() else "{}"
    return re.compile(whole.format(re.escape(wanted)))
