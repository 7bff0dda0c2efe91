"""Local passwords: argon2id, a length rule instead of a zoo of characters, and a list of what everybody guesses first.

Hashing takes 64 MiB and a fraction of a second, so it happens outside of transactions and at most twice at a time
in a process.
"""

from __future__ import annotations

import secrets
import string
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from portal.errors import PortalError
from portal.services.identity.names import normalise
from portal.settings import Settings

MAX_PASSWORD = 1024
_AT_ONCE = threading.BoundedSemaphore(2)
_hasher = PasswordHasher()
_decoy: str | None = None

COMMON = frozenset(
    normalise(text)
    for text in """
    password password1 password12 password123 password1234 password12345 passwordpassword passw0rd p@ssw0rd p@ssword
    12345678 123456789 1234567890 12345678910 123456789012345 1234567890123456 12345678901234567890 87654321
    0987654321 11111111 111111111111111 1111111111111111 00000000 000000000000000 88888888 888888888888888 66666666
    666666666666666 123123123 123123123123123 12341234 112233445566 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1q2w3e4r5t6y7u8i
    1qaz2wsx 1qaz2wsx3edc 1qaz2wsx3edc4rfv qwertyui qwertyuiop qwertyuiopasdfgh qwertyuiopasdfghjkl qwerty123
    qwerty123456 qwerty1234567890 asdfghjkl asdfghjklqwertyuiop zxcvbnm123 abcd1234 abc12345 abc123456 abc123456789
    abcdefgh abcdefghijklmno abcdefghijklmnop aa123456 aa12345678 a1234567 a12345678 a123456789 a1234567890 qq123456
    q123456789 woaini1314 woaini520 woaini1314520 5201314520 52013145201314 admin123 admin1234 admin12345 admin123456
    admin123456789 administrator administrator1 administrator123 root1234 root123456 test1234 test123456 welcome1
    welcome123 welcome12345678 changeme changeme123 changeme123456 letmein123 iloveyou iloveyou123 iloveyou1234567
    sunshine123 princess123 dragon123 monkey123 football123 superman123 trustno1 michael123 jordan23 harley123
    correcthorsebatterystaple thequickbrownfox qazwsxedcrfvtgb qazwsxedc123456 zaq12wsxcde34rfv 147258369
    147258369147258 159357159357 741852963 789456123 789456123789456 963852741 13800138000 13800138000138000 huawei@123
    huawei12#$
    p@ssw0rd123 p@ssw0rd123456 p@ssw0rd12345678 passw0rd123456789 mypassword12345 speechportal12345 funasr123456789
    """.split()  # noqa: SIM905
)


def check_policy(settings: Settings, password: str, *, login: str = "") -> None:
    """Refuse a weak local password.

    Raises:
        PortalError: ``PASSWORD_TOO_SHORT`` or ``PASSWORD_TOO_COMMON``; also when it is one character over and over,
            or little more than the account's name.
    """
    if len(password.strip()) < settings.password_min_length or len(password) > MAX_PASSWORD or "\0" in password:
        raise PortalError("PASSWORD_TOO_SHORT", minimum=settings.password_min_length)
    plain, name = normalise(password).replace(" ", ""), normalise(login)
    rest = plain.replace(name, "") if len(name) >= 3 else plain
    if plain in COMMON or len(set(plain)) < 4 or len(rest) < 4:
        raise PortalError("PASSWORD_TOO_COMMON")


def hash_password(password: str) -> str:
    """The argon2id hash to store. Slow on purpose: never call it while a transaction is open."""
    with _AT_ONCE:
        return _hasher.hash(password)


def new_hash(settings: Settings, password: str, *, login: str = "") -> str:
    """Check a new password and hash it.

    Raises:
        PortalError: see ``check_policy``.
    """
    check_policy(settings, password, login=login)
    return hash_password(password)


def matches(stored: str | None, password: str) -> bool:
    """Whether the password is the one that was hashed. Takes as long for an account without a hash."""
    if len(password) > MAX_PASSWORD:
        password, stored = "", None
    try:
        with _AT_ONCE:
            return _hasher.verify(stored or _decoy_hash(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def _decoy_hash() -> str:
    global _decoy
    if _decoy is None:
        _decoy = _hasher.hash(secrets.token_urlsafe(16))
    return _decoy


def random_password(length: int = 20) -> str:
    """A password for printing once: letters and digits that are not mistaken for each other."""
    alphabet = "".join(ch for ch in string.ascii_letters + string.digits if ch not in "0O1lI")
    return "".join(secrets.choice(alphabet) for _ in range(length))
