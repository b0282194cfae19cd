import io
from base64 import b64encode
from dataclasses import replace

import pskc
import pyotp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.vocabulary import Algorithm, Factor
from tests.unit.watchword.token_files.figures import FIGURE_6, FIGURE_7, KEY
from tests.unit.watchword.token_files.writing import (
    SECRET,
    only_token,
    pskc_file,
    read,
    reasons,
    written,
)
from watchword.token_files.pskc_keys import Unlocking
from watchword.token_files.reading import TokenFile
from watchword.token_files.tokens import Token, TokenFileError, base32_of

_TOTP = Token(Factor.TOTP, SECRET, Algorithm.SHA256, digits=8, period=60, serial="T-1")
_HOTP = Token(Factor.HOTP, SECRET, digits=6, counter=1_000_000, serial="H-1")


@pytest.mark.standard("RFC 6030, figure 6")
def test_a_pre_shared_key_opens_the_example_of_the_rfc() -> None:
    token = only_token(read(FIGURE_6, TokenFile.PSKC, Unlocking(key=KEY)))

    assert token == Token(Factor.HOTP, SECRET, digits=8, serial="987654321")


@pytest.mark.standard("RFC 6030, figure 7")
def test_a_passphrase_opens_the_example_of_the_rfc() -> None:
    token = only_token(read(FIGURE_7, TokenFile.PSKC, Unlocking(passphrase=b"qwerty")))

    assert token.secret == SECRET


@pytest.mark.parametrize("algorithm", ["aes128-cbc", "aes192-cbc", "aes256-cbc"])
@pytest.mark.parametrize("mac", ["hmac-sha1", "hmac-sha256", "hmac-sha512"])
def test_reads_what_python_pskc_writes(algorithm: str, mac: str) -> None:
    made, key = pskc_file(_TOTP, _HOTP), bytes(range(int(algorithm[3:6]) // 8))
    made.mac.setup(algorithm=mac)
    made.encryption.setup_preshared_key(key=key, algorithm=algorithm, fields=["secret", "counter"])

    content = written(made)

    rows = read(content, TokenFile.PSKC, Unlocking(key=key))
    assert [row.token for row in rows] == [_TOTP, _HOTP]
    assert SECRET.hex().encode() not in content


@pytest.mark.parametrize("prf", ["hmac-sha1", "hmac-sha256"])
def test_reads_what_python_pskc_writes_under_a_passphrase(prf: str) -> None:
    made = pskc_file(_HOTP)
    made.encryption.setup_pbkdf2(password="correct horse", iterations=1000, prf=prf)

    rows = read(written(made), TokenFile.PSKC, Unlocking(passphrase=b"correct horse"))

    assert only_token(rows) == _HOTP


def test_python_pskc_and_pyotp_agree_on_the_codes_of_what_was_read() -> None:
    other = pskc.PSKC(io.BytesIO(FIGURE_6.encode()))
    other.encryption.key = KEY
    [theirs] = other.keys
    ours = only_token(read(FIGURE_6, TokenFile.PSKC, Unlocking(key=KEY)))

    phone = pyotp.HOTP(base32_of(ours.secret), digits=ours.digits)

    assert (theirs.secret, theirs.counter, theirs.response_length) == (
        *(ours.secret, ours.counter, ours.digits),
    )
    # RFC 4226 appendix D, with two digits more.
    assert [phone.at(counter)[-6:] for counter in range(3)] == ["755224", "287082", "359152"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("LRExc=", "a MAC is not right"),
        ("UqGv", "a MAC is not right"),
        ("<ValueMAC>", "an encrypted value has no MAC"),
    ],
)
def test_what_was_changed_is_refused_before_it_is_decrypted(change: str, said: str) -> None:
    changed = FIGURE_6.replace(change, change.swapcase() if "<" not in change else "<Other>")
    changed = changed.replace("</ValueMAC>", "</Other>" if "<Other>" in changed else "</ValueMAC>")

    [row] = read(changed, TokenFile.PSKC, Unlocking(key=KEY))

    assert row.token is None
    assert said in str(row.reason)


def test_without_a_mac_nothing_is_decrypted() -> None:
    start, _, rest = FIGURE_6.partition("<MACMethod")
    content = start + rest.partition("</MACMethod>")[2]

    assert reasons(read(content, TokenFile.PSKC, Unlocking(key=KEY))) == [
        "an encrypted value has no MAC"
    ]


@pytest.mark.parametrize(
    ("unlocking", "said"),
    [
        (Unlocking(), "wants its pre-shared key"),
        (Unlocking(passphrase=b"qwerty"), "wants its pre-shared key"),
        (Unlocking(key=bytes(16)), "the key does not open the file"),
        (Unlocking(key=bytes(32)), "the key does not open the file"),
    ],
)
def test_a_file_without_its_key_is_not_read(unlocking: Unlocking, said: str) -> None:
    with pytest.raises(TokenFileError, match=said):
        read(FIGURE_6, TokenFile.PSKC, unlocking)


def test_secrets_in_clear_are_taken_only_where_that_is_asked_for() -> None:
    content = written(pskc_file(_TOTP))

    assert reasons(read(content, TokenFile.PSKC)) == [
        "Secret: is in clear, which only --allow-plain takes"
    ]
    assert only_token(read(content, TokenFile.PSKC, allow_plain=True)) == _TOTP


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (replace(_TOTP, secret=SECRET[:15]), "re-enroll"),
        (replace(_TOTP, secret=SECRET[:16]), None),
        (replace(_TOTP, digits=5), "6 to 8 digits"),
        (replace(_TOTP, digits=9), "6 to 8 digits"),
        (replace(_TOTP, period=14), "15 to 120"),
        (replace(_TOTP, period=121), "15 to 120"),
        (replace(_TOTP, period=120), None),
    ],
)
def test_what_verification_does_not_take_is_refused(token: Token, said: str | None) -> None:
    [row] = read(written(pskc_file(token)), TokenFile.PSKC, allow_plain=True)

    assert (row.reason is None) if said is None else (said in str(row.reason))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (":hotp", ":ocra", "Algorithm: neither"),
        ("DECIMAL", "HEXADECIMAL", "not decimal"),
        ('Encoding="DECIMAL"', 'Encoding="DECIMAL" CheckDigits="true"', "check digits"),
        ("<Data>", "<Policy><PINPolicy/></Policy><Data>", "need a PIN"),
        ("<Counter>", "<Time>", "Counter: is missing"),
        (">0<", ">-1<", "Counter: not a number"),
        ("Secret>", "Sacred>", "Secret: is missing"),
        ("#aes128-cbc", "#tripledes-cbc", None),
    ],
)
def test_what_cannot_be_used_says_why(before: str, after: str, said: str | None) -> None:
    content = FIGURE_6.replace(before, after)
    if before == "<Counter>":
        content = content.replace("</Counter>", "</Time>")

    if said is None:
        with pytest.raises(TokenFileError, match="only AES-CBC"):
            read(content, TokenFile.PSKC, Unlocking(key=KEY))
    else:
        [row] = read(content, TokenFile.PSKC, Unlocking(key=KEY))
        assert said in str(row.reason)


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><KeyContainer/>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><KeyContainer/>',
        "<KeyContainer/>",
        "<other xmlns='urn:ietf:params:xml:ns:keyprov:pskc'/>",
        FIGURE_6.replace('Version="1.0"', 'Version="2.0"'),
        FIGURE_6[:-20],
        "",
        '<?xml version="1.0" encoding="nonsense"?><KeyContainer/>',
    ],
)
def test_other_documents_are_refused_as_a_whole(content: str) -> None:
    with pytest.raises(TokenFileError):
        read(content, TokenFile.PSKC, Unlocking(key=KEY))


def test_a_derivation_may_not_take_for_ever() -> None:
    content = FIGURE_7.replace(">1000<", ">999999999999<")

    with pytest.raises(TokenFileError, match="not taken"):
        read(content, TokenFile.PSKC, Unlocking(passphrase=b"qwerty"))


@settings(deadline=None)
@given(st.data())
def test_no_damage_raises_anything_else(data: st.DataObject) -> None:
    figure, unlocking = data.draw(
        st.sampled_from(
            [(FIGURE_6, Unlocking(key=KEY)), (FIGURE_7, Unlocking(passphrase=b"qwerty"))]
        )
    )
    content = bytearray(figure.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        end = at + data.draw(st.integers(0, 8))
        content[at:end] = data.draw(st.binary(max_size=8))

    try:
        rows = read(bytes(content), TokenFile.PSKC, unlocking)
    except TokenFileError as error:
        said = str(error)
    else:
        said = " ".join(reasons(rows))
    assert SECRET.decode() not in said
    assert SECRET.hex() not in said
    assert b64encode(SECRET).decode() not in said
