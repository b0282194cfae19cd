"""The keys of a PSKC file (RFC 6030 sections 6.1 to 6.3): what is encrypted, and its MAC."""

import hashlib
import hmac
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from watchword.token_files.tokens import RowError, TokenFileError

PSKC = "{urn:ietf:params:xml:ns:keyprov:pskc}"
_XENC = "{http://www.w3.org/2001/04/xmlenc#}"
_XENC11 = "{http://www.w3.org/2009/xmlenc11#}"
# By the part behind the #: files differ in which of the namespaces they take it from.
_CIPHERS = {"aes128-cbc": 16, "aes192-cbc": 24, "aes256-cbc": 32}
_HASHES: dict[str, Callable[[], "hashlib._Hash"]] = {
    "hmac-sha1": hashlib.sha1,
    "hmac-sha224": hashlib.sha224,
    "hmac-sha256": hashlib.sha256,
    "hmac-sha384": hashlib.sha384,
    "hmac-sha512": hashlib.sha512,
}
_BLOCK = 16
# A file may not keep us busy for longer: ten million rounds are some seconds.
_MOST_ITERATIONS = 10_000_000
_KEY_LENGTHS = (16, 24, 32)


@dataclass(frozen=True)
class Unlocking:
    """What was agreed on with whoever made the file: its key, or a passphrase."""

    key: bytes | None = field(default=None, repr=False)
    passphrase: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class ContainerKeys:
    """Opens the encrypted values of one file."""

    key: bytes = field(repr=False)
    mac_key: bytes | None = field(repr=False)
    mac_algorithm: str | None

    def open(self, value: Element) -> bytes:
        """Return what an element with EncryptedValue and ValueMAC holds; raises RowError.

        The MAC is over initialisation vector and ciphertext, and is checked before anything is
        decrypted (section 6.1: CBC without one is not to be accepted).
        """
        encrypted, said = value.find(f"{PSKC}EncryptedValue"), value.findtext(f"{PSKC}ValueMAC")
        if encrypted is None:
            raise RowError("an encrypted value is missing")
        if self.mac_key is None or self.mac_algorithm is None or said is None:
            raise RowError("an encrypted value has no MAC")
        content = _cipher_value(encrypted)
        expected = hmac.new(self.mac_key, content, _HASHES[self.mac_algorithm]).digest()
        if not hmac.compare_digest(expected, _base64(said)):
            raise RowError("a MAC is not right: another key, or the file was changed")
        return _decrypted(self.key, encrypted, content)


def container_keys(
    encryption: Element | None, mac_method: Element | None, unlocking: Unlocking
) -> ContainerKeys | None:
    """Return the keys that a container's head describes, or None where it describes none."""
    if encryption is None:
        return None
    key = _encryption_key(encryption, unlocking)
    if mac_method is None:
        return ContainerKeys(key, None, None)
    algorithm = _fragment(mac_method.get("Algorithm", ""))
    if algorithm not in _HASHES:
        raise TokenFileError("MACMethod: an algorithm that is not known here")
    sealed = mac_method.find(f"{PSKC}MACKey")
    try:
        mac_key = _decrypted(key, sealed, _cipher_value(sealed)) if sealed is not None else key
    except RowError as error:
        raise TokenFileError(f"the key does not open the file: {error}") from None
    if not mac_key:
        raise TokenFileError("MACKey: is empty")
    return ContainerKeys(key, mac_key, algorithm)


def _encryption_key(encryption: Element, unlocking: Unlocking) -> bytes:
    derived = encryption.find(f"{_XENC11}DerivedKey")
    if derived is None:
        derived = encryption.find(f"{PSKC}DerivedKey")
    if derived is None:
        if unlocking.key is None:
            raise TokenFileError("the file wants its pre-shared key (--pskc-key-file)")
        return unlocking.key
    if unlocking.passphrase is None:
        raise TokenFileError("the file wants its passphrase (--passphrase-file)")
    return _derived_key(derived, unlocking.passphrase)


def _derived_key(derived: Element, passphrase: bytes) -> bytes:
    """Derive a key as PKCS #5 says (RFC 8018 section 5.2)."""
    method = next((one for one in derived.iter() if _local(one) == "KeyDerivationMethod"), None)
    if method is None or _fragment(method.get("Algorithm", "")) != "pbkdf2":
        raise TokenFileError("DerivedKey: only PBKDF2 is known here")
    said = {_local(one): one for one in method.iter()}
    chosen = _HASHES.get(_prf_of(said.get("PRF")))
    try:
        salt = _base64(said["Specified"].text or "")
        iterations, length = (
            int(said["IterationCount"].text or ""),
            int(said["KeyLength"].text or ""),
        )
    except (KeyError, ValueError, RowError):
        raise TokenFileError("DerivedKey: parameters are missing or not readable") from None
    if chosen is None or not 1 <= iterations <= _MOST_ITERATIONS or length not in _KEY_LENGTHS:
        raise TokenFileError("DerivedKey: parameters that are not taken here")
    return hashlib.pbkdf2_hmac(chosen().name, passphrase, salt, iterations, length)


def _prf_of(element: Element | None) -> str:
    # The schema has an attribute; python-pskc writes it as text.
    named = (element.get("Algorithm") or element.text or "") if element is not None else ""
    return _fragment(named).lower() or "hmac-sha1"


def _decrypted(key: bytes, encrypted: Element, content: bytes) -> bytes:
    method = encrypted.find(f"{_XENC}EncryptionMethod")
    length = _CIPHERS.get(_fragment(method.get("Algorithm", "") if method is not None else ""))
    if length is None:
        raise RowError("an encryption that is not known here: only AES-CBC is")
    if length != len(key):
        raise RowError("the key has another length than the encryption wants")
    if len(content) < 2 * _BLOCK or len(content) % _BLOCK:
        raise RowError("an encrypted value has a wrong length")
    opening = Cipher(algorithms.AES(key), modes.CBC(content[:_BLOCK])).decryptor()
    plain = opening.update(content[_BLOCK:]) + opening.finalize()
    # XML Encryption section 5.2: the last byte is how many were filled up, whatever is in them.
    if not 1 <= plain[-1] <= _BLOCK:
        raise RowError("an encrypted value is not readable with this key")
    return plain[: -plain[-1]]


def _cipher_value(encrypted: Element) -> bytes:
    return _base64(encrypted.findtext(f"{_XENC}CipherData/{_XENC}CipherValue") or "")


def _base64(text: str) -> bytes:
    try:
        return b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise RowError("a value is not base64") from None


def _fragment(algorithm: str) -> str:
    return algorithm.strip().rpartition("#")[2]


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]
