"""Texts that tell tokenisers apart: what a fast one must get right before it is trusted."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["HOSTILE", "around"]

_SPACES = ("", " ", "   ", "\t", "\n\n", "\r\n", "\u00a0", "\u3000", "\u2028\u2029", "\u200b", "\ufeff", "x\u0085y")
_PLAIN = (
    "a",
    "Z",
    "0",
    "!",
    "the cat",
    " the  cat ",
    "\tthe\ncat\r",
    "Don't stop-me, now...",
    "a_b.c@d#e$f%g^h&i*(j)=k",
)
_CONTROLS = ("\x00", "a\x00b", "\x01\x02", "a\x1fb", "\x7f", "a\x7fb", "é\x7f", "a\x08b", "\x1b[31mred\x1b[0m")
_ACCENTS = (
    *("na\u00efve caf\u00e9", "nai\u0308ve cafe\u0301", "\u212bngstr\u00f6m \u00c5 A\u030a"),
    *("e\u0323\u0301 e\u0301\u0323", "\u0301alone", "Z\u0351\u036b\u0343\u036aalgo\u0334\u0335\u031e"),
)
_CASES = (
    *(
        "Straße ẞ",
        "İstanbul ıI i\u0307",
        "ΟΔΥΣΣΕΥΣ ΑΣ Σ σς",
        "ﬁ ﬂ ﬃ",
        "Ǆ ǅ ǆ",
        "Ⅷ ① ½ ²",
        "ＦＵＬＬ　ｗｉｄｔｈ ２０２６",
    ),
    *("𝕳𝖊𝖑𝖑𝖔 𝟙𝟚", "Привет МИР ё й", "ქართული Ა"),
)
_SCRIPTS = (
    *("日本語のテキスト", "中文。测试，一二三", "漢字kanji漢字", "ｶﾀｶﾅ ガ カ\u3099", "한국어", "\u1112\u1161\u11ab"),
    *("ไทยภาษา", "हिन्दी क्ष", "தமிழ்", "العربية لا إله", "עברית שָׁלוֹם", "\u0640\u0640"),
    *(
        "\u202eright\u202c to \u200fleft\u200e",
        "mixed Ελληνικά и кириллица 混合 نص 🙂 end",
        "x日x",
        "aПb",
        "abc한글def",
    ),
)
_EMOJI = (
    *("👍🏽 👩\u200d👩\u200d👧\u200d👦 🇩🇪 ❤\ufe0f 🙂🙂", "a🙂b", "☎\ufe0f1\ufe0f\u20e3", "\U0001f9ff\U0001fae8"),
    *("\ufe0f", "\u200d"),
)
_NUMBERS = ("1234567890", "3.14159", "1,000,000.00", "2026-11-23T17:00:00Z", "v1.2.3-rc4", "0x1F", "1e-9", "１２３")
_CODE = ("https://example.org/a?b=c&d#e", "C:\\path\\to.txt", "def f(x):\n    return x**2  # ok", "<b>&amp;</b>")
_RARE = ("\ufffd", "\ufffe", "\uffff", "\ue000", "\U000e0001", "\U0010ffff", "\u0378", "\u2065")
_PIECES = ("▁", "a▁b", "▁▁a", "##ing", "Ġword")
# Words around the 100 characters of WordPiece, in one, two, three and four bytes a character.
_LONG = tuple(letter * n for letter in ("a", "é", "日", "🙂", "1", ".", "ab ") for n in (99, 100, 101, 200, 1000))

HOSTILE: tuple[str, ...] = (
    *(*_SPACES, *_PLAIN, *_CONTROLS, *_ACCENTS, *_CASES, *_SCRIPTS, *_EMOJI, *_NUMBERS, *_CODE, *_RARE, *_PIECES),
    *(form for word in _LONG for form in (word, f"x {word} y")),
)

_SPECIAL = ("[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]", "<s>", "</s>", "<unk>", "<pad>", "<mask>", "<0x0A>")
_COMPANY = ("{}", " {}", "{} ", "a{}", "{}a", "a {} b", "a{}b", "{}{}", "[{}]", "x\n{}\ty", "é{}é", "日{}日", "{}.")


def around(added_tokens: Iterable[str]) -> list[str]:
    """Return texts in which strings that may be special tokens stand in every kind of company."""
    strings = dict.fromkeys((*_SPECIAL, *added_tokens))
    cased = dict.fromkeys(form for string in strings for form in (string, string.upper(), string.lower()))
    return [company.replace("{}", string) for string in cased for company in _COMPANY]
