"""Numbers, dates, times and amounts as people say them."""

from __future__ import annotations

import random

from .vocabulary import DAY_PARTS, DIGITS, WEEKDAYS


def digit_string(rng: random.Random, count: int) -> str:
    """`count` digits read one by one."""
    return "".join(rng.choice(DIGITS) for _ in range(count))


def _below_ten_thousand(value: int, liang: bool) -> str:
    parts = []
    zero = False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十")):
        digit, value = divmod(value, unit)
        if digit:
            if zero:
                parts.append("零")
            parts.append(("两" if liang and digit == 2 and unit >= 100 else DIGITS[digit]) + name)
            zero = False
        elif parts:
            zero = True
    if value:
        if zero:
            parts.append("零")
        parts.append(DIGITS[value])
    return "".join(parts) or "零"


def cardinal(value: int, liang: bool = True) -> str:
    """A whole number below 10**12 in words; `liang` says 两 rather than 二 before 百, 千, 万 and 亿."""
    if value < 20 and value >= 10:
        return "十" + (DIGITS[value - 10] if value > 10 else "")
    out = ""
    for unit, name in ((100_000_000, "亿"), (10_000, "万")):
        high, value = divmod(value, unit)
        if high:
            word = "两" if liang and high == 2 else cardinal(high, liang)
            out += ("零" if out and high < 1000 else "") + word + name
    if value or not out:
        out += ("零" if out and value < 1000 else "") + _below_ten_thousand(value, liang)
    return out


def small(rng: random.Random) -> str:
    """1 to 99, mostly below 20."""
    return cardinal(rng.randint(1, 19) if rng.random() < 0.5 else rng.randint(1, 99))


def count(rng: random.Random) -> str:
    """A number of things: up to 99 999, sometimes rounded."""
    r = rng.random()
    if r < 0.5:
        return cardinal(rng.randint(1, 999), rng.random() < 0.7)
    if r < 0.8:
        return cardinal(rng.randint(1000, 99_999), rng.random() < 0.7)
    if r < 0.9:
        return cardinal(rng.randint(1, 9)) + rng.choice(("百", "千"))
    return cardinal(rng.randint(1, 99)) + rng.choice(("万", "亿"))


def money(rng: random.Random) -> str:
    """An amount with its unit."""
    r = rng.random()
    if r < 0.35:
        return cardinal(rng.randint(1, 99_999), rng.random() < 0.7) + "元"
    if r < 0.6:
        return cardinal(rng.randint(1, 999), rng.random() < 0.7) + rng.choice(("万元", "万元", "亿元", "千万元"))
    if r < 0.75:
        return cardinal(rng.randint(1, 9999)) + "块" + rng.choice(("", "钱"))
    if r < 0.9:
        return (
            cardinal(rng.randint(1, 99))
            + "点"
            + digit_string(rng, rng.randint(1, 2))
            + rng.choice(("万元", "亿元", "元"))
        )
    return cardinal(rng.randint(1, 99)) + "块" + DIGITS[rng.randint(1, 9)] + "毛"


def percent(rng: random.Random) -> str:
    """A percentage."""
    r = rng.random()
    if r < 0.55:
        return "百分之" + cardinal(rng.randint(1, 99))
    if r < 0.6:
        return "百分之百"
    return "百分之" + cardinal(rng.randint(0, 99)) + "点" + digit_string(rng, rng.randint(1, 2))


def year(rng: random.Random) -> str:
    """A year read digit by digit."""
    return rng.choice(("二零", "二零", "一九")) + digit_string(rng, 2)


def date(rng: random.Random) -> str:
    """A day, absolute or relative."""
    r = rng.random()
    month, day = cardinal(rng.randint(1, 12)), cardinal(rng.randint(1, 31))
    if r < 0.3:
        return f"{month}月{day}号"
    if r < 0.5:
        return f"{year(rng)}年{month}月{day}日"
    if r < 0.6:
        return f"{month}月{day}日"
    if r < 0.8:
        return rng.choice(("今天", "明天", "昨天", "后天", "下周", "这周", "本月底", "年底", "下个月", "今年年底"))
    return rng.choice(("下", "这", "上", "")) + rng.choice(WEEKDAYS[:5])


def clock(rng: random.Random) -> str:
    """A time of day."""
    hour = rng.randint(1, 12)
    spoken = "两" if hour == 2 else cardinal(hour)
    tail = rng.choice(("", "", "半", "十分", "一刻", "四十五分", "二十分", "零五分"))
    if rng.random() < 0.15:
        return cardinal(rng.randint(13, 23)) + "点" + cardinal(rng.randint(10, 59)) + "分"
    return rng.choice(DAY_PARTS) + spoken + "点" + tail
