"""PSKC (RFC 6030), the XML in which makers deliver tokens; one package is read at a time."""

from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from contracts.vocabulary import Algorithm, Factor
from watchword.token_files.pskc_keys import PSKC, ContainerKeys, Unlocking, container_keys
from watchword.token_files.tokens import (
    DEFAULT_DIGITS,
    DEFAULT_PERIOD,
    Read,
    RowError,
    Token,
    TokenFileError,
    algorithm_of,
    number_of,
    usable,
)

_FACTORS = {"hotp": Factor.HOTP, "totp": Factor.TOTP}
_ALGORITHMS = "urn:ietf:params:xml:ns:keyprov:pskc:"
_LONGEST_VALUE = 4 * 1024
_LONGEST_NUMBER = 8


@dataclass(frozen=True)
class _Container:
    """What the head of a file says, and whether secrets in clear are taken."""

    keys: ContainerKeys | None
    allow_plain: bool


def read_pskc(file: BinaryIO, unlocking: Unlocking, *, allow_plain: bool = False) -> Iterator[Read]:
    """Yield a row for each key; raises TokenFileError where the file cannot be read or opened."""
    row, container = 0, None
    try:
        for root, package in _packages(file):
            if container is None:
                container = _container(root, unlocking, allow_plain=allow_plain)
            for key in _keys(package):
                row += 1
                yield _read(row, package, key, container)
            package.clear()
    except DefusedXmlException:
        raise TokenFileError("a document type or entities, which no token file needs") from None
    except (ParseError, ValueError, LookupError):
        raise TokenFileError("not XML that can be read") from None


def _packages(file: BinaryIO) -> Iterator[tuple[Element, Element]]:
    """Yield the root as far as it is known, and each package as it ends."""
    root: Element | None = None
    for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
        if root is None:
            if element.tag != f"{PSKC}KeyContainer":
                raise TokenFileError("not a KeyContainer of PSKC 1.0 (RFC 6030)")
            root = element
        if event == "end" and element.tag == f"{PSKC}KeyPackage":
            yield root, element
            # What was read is not kept in memory, nor its empty shell.
            root.remove(element)


def _keys(package: Element) -> list[Element] | list[None]:
    # What is to be reported is one row, too.
    return package.findall(f"{PSKC}Key") or [None]


def _container(root: Element, unlocking: Unlocking, *, allow_plain: bool) -> _Container:
    if root.get("Version") not in ("1.0", "1"):
        raise TokenFileError("not a KeyContainer of version 1.0")
    encryption, mac = root.find(f"{PSKC}EncryptionKey"), root.find(f"{PSKC}MACMethod")
    return _Container(container_keys(encryption, mac, unlocking), allow_plain)


def _read(row: int, package: Element, key: Element | None, container: _Container) -> Read:
    try:
        if key is None:
            raise RowError("a package without a key")
        return Read(row, usable(_token(package, key, container)))
    except RowError as error:
        return Read(row, reason=str(error))


def _token(package: Element, key: Element, container: _Container) -> Token:
    factor = _FACTORS.get(key.get("Algorithm", "").removeprefix(_ALGORITHMS))
    if factor is None:
        raise RowError("Algorithm: neither hotp nor totp")
    if key.find(f"{PSKC}Policy/{PSKC}PINPolicy") is not None:
        raise RowError("Policy: codes that need a PIN are not verified here")
    counter = _number(key, "Counter", container)
    if factor is Factor.HOTP and counter is None:
        raise RowError("Counter: is missing")
    period = _number(key, "TimeInterval", container) if factor is Factor.TOTP else None
    return Token(
        factor=factor,
        secret=_secret(key, container),
        algorithm=_algorithm(key),
        digits=_digits(key),
        period=period if period is not None else DEFAULT_PERIOD,
        counter=(counter or 0) if factor is Factor.HOTP else 0,
        serial=_text(package, f"{PSKC}DeviceInfo/{PSKC}SerialNo"),
    )


def _secret(key: Element, container: _Container) -> bytes:
    value = key.find(f"{PSKC}Data/{PSKC}Secret")
    if value is None:
        raise RowError("Secret: is missing")
    plain = _text(value, f"{PSKC}PlainValue")
    if plain is None:
        return _opened(value, container)
    if not container.allow_plain:
        raise RowError("Secret: is in clear, which only --allow-plain takes")
    try:
        return b64decode("".join(plain.split()), validate=True)
    except ValueError:
        raise RowError("Secret: not base64") from None


def _number(key: Element, name: str, container: _Container) -> int | None:
    value = key.find(f"{PSKC}Data/{PSKC}{name}")
    if value is None:
        return None
    plain = _text(value, f"{PSKC}PlainValue")
    if plain is not None:
        return number_of(plain, name)
    content = _opened(value, container)
    # Section 4.3.4 counts bytes, in network order; some makers encrypt the digits as text.
    if content.isdigit():
        return number_of(content.decode(), name)
    if len(content) > _LONGEST_NUMBER:
        raise RowError(f"{name}: not a number")
    return int.from_bytes(content, "big")


def _opened(value: Element, container: _Container) -> bytes:
    if container.keys is None:
        raise RowError("a value is encrypted, but the file names no key")
    return container.keys.open(value)


def _algorithm(key: Element) -> Algorithm:
    suite = _text(key, f"{PSKC}AlgorithmParameters/{PSKC}Suite")
    return algorithm_of(suite) if suite is not None else Algorithm.SHA1


def _digits(key: Element) -> int:
    response = key.find(f"{PSKC}AlgorithmParameters/{PSKC}ResponseFormat")
    if response is None:
        return DEFAULT_DIGITS
    if response.get("Encoding") != "DECIMAL":
        raise RowError("ResponseFormat: codes are not decimal")
    if response.get("CheckDigits", "false").lower() in ("true", "1"):
        raise RowError("ResponseFormat: check digits are not verified here")
    return number_of(response.get("Length", ""), "ResponseFormat")


def _text(element: Element, path: str) -> str | None:
    text = element.findtext(path)
    if text is None:
        return None
    if len(text) > _LONGEST_VALUE:
        raise RowError("a value is too long")
    return text.strip() or None
