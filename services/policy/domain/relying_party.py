"""Where passkeys may be used: names and origins as a browser writes them."""

import re

from contracts.passkeys import PasskeyParty

_LONGEST = 253
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_ORIGIN = re.compile(r"(https?)://([^:/?#@\s]+)(?::([1-9][0-9]{0,4}))?")
# A browser leaves it out (RFC 6454 section 6.2): an origin that has it would never be met.
_LEFT_OUT = {"https": "443", "http": "80"}
_LAST_PORT = 65535
_LOCAL = "localhost"


def checked_rp_id(text: str) -> str:
    """Return a relying party id unchanged; raises ValueError where it is none.

    A domain name in lower case, in ASCII (IDNA): WebAuthn Level 3 section 5.1.2. Whether it is one
    under which anybody can have a name, such as co.uk, is for browsers to know.
    """
    if text != _LOCAL and not _is_domain(text):
        raise ValueError("not a domain name in lower case, in ASCII (xn--...), nor localhost")
    return text


def mistake_of(party: PasskeyParty) -> str | None:
    """Return what is wrong with the origins of a party, in words, or None."""
    if len(set(party.origins)) != len(party.origins):
        return "each origin once"
    found = (_mistake_of_origin(origin, party.rp_id) for origin in party.origins)
    return next((words for words in found if words is not None), None)


def _mistake_of_origin(origin: str, rp_id: str) -> str | None:
    read = _ORIGIN.fullmatch(origin)
    if read is None:
        return "an origin is https://host or https://host:port, and nothing after it"
    scheme, host, port = read.groups()
    if host != _LOCAL and not _is_domain(host):
        return "the host of an origin is a domain name in lower case, in ASCII (xn--...)"
    if host != rp_id and not host.endswith(f".{rp_id}"):
        return "the host of an origin is rp_id, or ends in a dot and rp_id"
    if scheme == "http" and host != _LOCAL:
        return "only localhost is an origin without https"
    if port is not None and (port == _LEFT_OUT[scheme] or int(port) > _LAST_PORT):
        return f"a port is at most {_LAST_PORT}, and left out where it is the scheme's own"
    return None


def _is_domain(text: str) -> bool:
    labels = text.split(".")
    if len(text) > _LONGEST or len(labels) == 1:
        return False
    # What ends in digits is an address of a machine to browsers (WHATWG URL, "ends in a number").
    return all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
