"""Addresses of sources: which may be named, and how a secret in one is never written down.

An address names its secrets as `${VARIABLE}`; only the reader that opens it puts them in. So settings, reports and the
server's database hold none, and `redact` takes them out of what others say while they use one.
"""

import os
import re
from typing import Annotated
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator

SCHEMES = frozenset(
    "file http https s3 s3a gs gcs az abfs abfss adl oss sftp ssh ftp hdfs webhdfs smb memory".split(),
)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)(://|::)", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_HIDDEN = "***"
# user:password@, also where the user is an e-mail address, or the password holds a slash: what follows the colon is
# then no port. An address that was taken for a path has one slash left.
_USER = re.compile(r"(?<=:/)(/?)([^\s/?#:]*:(?:[^\s/?#]*|(?!\d+/)[^\s@]*))@")
_PARAMETER = re.compile(
    r"(?<=[?&;])([\w.%-]*(?:token|secret|passw|pwd|signature|credential|session|auth(?!or)|api[_-]?key|access[_-]?key)"
    r"[\w.%-]*|(?:[\w.%-]*[-_.])?(?:key|sig|pw|pass|code))=([^\s&#;'\"<>]+)",
    re.IGNORECASE,
)
_seen: set[str] = set()  # values put into addresses by this process: nothing of it may print them


def check_address(address: str) -> str:
    """Return an address as it is, if it may stand in settings.

    Raises:
        ValueError: it is empty, of a kind that is not read, leads through another one, or holds a secret.
    """
    if not address.strip():  # as a path it would be the folder that paths count from
        raise ValueError("an empty text is no address; name a file, folder or address, or take it out")
    if scheme := _SCHEME.match(address):
        if scheme[2] == "::" or "::" in address or scheme[1].lower() not in SCHEMES:
            raise ValueError(
                f"no address of this kind is read; give a file or folder, or one of {', '.join(sorted(SCHEMES))}://, "
                "without :: between several"
            )
        if redact(address) != address:
            raise ValueError(
                "an address must not hold a password, key or token, for every run records its settings; put it into an "
                "environment variable and write ${NAME} in its place: https://${BANK_USER}:${BANK_PASSWORD}@host/rows.csv"
            )
        if scheme[1].lower() in ("s3", "s3a") and not names_bucket(address):
            raise ValueError(
                "no bucket has such a name: it is of letters, digits, dots and hyphens, as in s3://bucket/rows.csv"
            )
    return address


def names_bucket(address: str) -> bool:
    """Say whether what follows `s3://`, and user and password, can be the name or ARN of a bucket."""
    bucket = address.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return bool(_VARIABLE.search(bucket) or re.fullmatch(r"[\w.-]{1,255}|arn:aws[\w:-]*", bucket, re.ASCII))


def _empty_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


Address = Annotated[str, AfterValidator(check_address)]
_EMPTY_IS_NONE = BeforeValidator(_empty_is_none)  # a TOML has no other way to write that there is none
OptionalAddress = Annotated[Address | None, _EMPTY_IS_NONE]
OptionalAddresses = Annotated[Address | list[Address] | None, _EMPTY_IS_NONE]
OptionalPath = Annotated[str | None, _EMPTY_IS_NONE]  # of a file or folder on this machine


def is_remote(address: str) -> bool:
    """Say whether an address has a scheme, such as s3://; it is a local path otherwise."""
    return bool(_SCHEME.match(address))


def expand(address: str) -> str:
    """Return an address with scheme with the environment's values in place of `${NAME}`, escaped as a URL wants them.

    Raises:
        KeyError: a variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        secret = os.environ[found[1]]
        _seen.update({secret, quote(secret, safe="")})
        return quote(secret, safe="")

    return _VARIABLE.sub(value, address)


def redact(text: str) -> str:
    """Return a text without the secrets of the addresses in it, and without what this process put into addresses."""
    for secret in sorted(_seen, key=len, reverse=True):
        if len(secret) > 3:  # shorter ones are no secrets, and stand in other words
            text = text.replace(secret, _HIDDEN)
    if ":/" not in text:
        return text
    text = _USER.sub(lambda found: f"{found[1]}{_masked(found[2])}@", text)
    return _PARAMETER.sub(lambda found: f"{found[1]}={_masked(found[2])}", text)


def _masked(value: str) -> str:
    """Return a value that only names variables as it is, any other hidden."""
    return value if not _VARIABLE.sub("", value).strip(":") else _HIDDEN
