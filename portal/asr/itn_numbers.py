"""Chinese numerals to digits: the arithmetic behind ``itn``, without any library."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "幺": 1}
_SMALL = {"十": 10, "百": 100, "千": 1000}
_LARGE = {"万": 10**4, "亿": 10**8}
NUMERALS = "".join(_DIGITS) + "".join(_SMALL) + "".join(_LARGE)

_N = f"[{NUMERALS}]+"
_PERCENT = re.compile(f"百分之(负?{_N}(?:点[零〇一二三四五六七八九]+)?)")
_DECIMAL = re.compile(f"(负?)({_N})点([零〇一二三四五六七八九]+)([万亿]?)")
_WHOLE = re.compile(_N)
_CLOCK_PART = re.compile(f"({_N})(?=[点分秒时]|$)")
_CLOCK_LIKE = re.compile(
    "(?:二十[一二三四]|十[一二三四五六七八九]|[一二两三四五六七八九十])点(?:零[一二三四五六七八九]分?|[一三]刻)"
)
"""What wetext takes for a decimal (cardinal) or for points in a game (measure): 十点零五, 十二点零五分, 八点一刻."""
_DAY_AFTER_MONTH = re.compile(f"月{_N}(号)")


@dataclass(frozen=True, slots=True)
class Change:
    """Replace the characters ``[begin, end)`` of a clause by ``text``."""

    begin: int
    end: int
    text: str


def written(text: str, begin: int, end: int, kind: str) -> list[Change]:
    """How the stretch ``[begin, end)`` of ``text`` is written; ``kind`` is wetext's: ``date``, ``time``, ``cardinal`` …

    Each numeral gets a change of its own, so that units between them keep their own times.
    """
    spoken = text[begin:end]
    if kind == "time" or (kind in ("cardinal", "measure") and _CLOCK_LIKE.fullmatch(spoken)):
        found = [(m.start(1), m.end(1), _clock_number(m.group(1))) for m in _CLOCK_PART.finditer(spoken)]
    else:
        found = _numbers(spoken)
    if kind == "date":
        found += [(m.start(1), m.end(1), "日") for m in _DAY_AFTER_MONTH.finditer(spoken)]
    return [Change(begin + a, begin + b, new) for a, b, new in sorted(found) if spoken[a:b] != new]


def _numbers(spoken: str) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    position = 0
    while position < len(spoken):
        percent, decimal, whole = (p.match(spoken, position) for p in (_PERCENT, _DECIMAL, _WHOLE))
        match = percent or decimal or whole
        if match is None:
            position += 1
            continue
        if percent:
            new = _percent(percent.group(1))
        elif decimal:
            new = _decimal(decimal)
        else:
            new = to_digits(match.group())
        found.append((match.start(), match.end(), new))
        position = match.end()
    return found


def _percent(spoken: str) -> str:
    decimal = _DECIMAL.fullmatch(spoken)
    minus = "-" if spoken[0] == "负" else ""
    return (_decimal(decimal) if decimal else minus + to_digits(spoken.removeprefix("负"))) + "%"


def _decimal(match: re.Match[str]) -> str:
    minus, whole, fraction, unit = match.groups()
    return f"{'-' if minus else ''}{to_digits(whole)}.{''.join(str(_DIGITS[c]) for c in fraction)}{unit}"


def _clock_number(spoken: str) -> str:
    """Minutes keep their leading zero: 零五 → 05."""
    value = to_digits(spoken)
    return f"0{value}" if spoken[0] in "零〇" and len(value) == 1 else value


def to_digits(spoken: str) -> str:
    """``一千二百三十四`` → ``1234``, ``二零二五`` → ``2025``, ``三百二十万`` → ``320万``, ``两万五`` → ``25000``.

    Round numbers from ten thousand up keep 万 and 亿, as people write them.
    """
    if not any(c in _SMALL or c in _LARGE for c in spoken):
        return "".join(str(_DIGITS[c]) for c in spoken)
    value = _value(spoken)
    if value >= 10**4 and value % 10**4 == 0:
        hundred_millions, rest = divmod(value, 10**8)
        whole, odd = divmod(hundred_millions, 10**4)
        large = f"{whole}万亿" if whole and not odd else f"{hundred_millions}亿" if hundred_millions else ""
        return large + (f"{rest // 10**4}万" if rest else "")
    return str(value)


def _value(spoken: str) -> int:
    total = section = digit = 0
    unit = 1  # of the last unit character: 一千八 means 1800
    for character in spoken:
        if character in _DIGITS:
            digit = digit * 10 + _DIGITS[character]
            if character in "零〇":
                unit = 1
        elif character in _SMALL:
            unit = _SMALL[character]
            section += (digit or 1) * unit
            digit = 0
        else:
            unit = _LARGE[character]
            total = (total + section + digit) * unit if character == "亿" else total + (section + digit or 1) * unit
            section = digit = 0
    return total + section + digit * (unit // 10 if unit >= 100 else 1)
