import io

import pytest
import segno
from PIL import Image

from tests.unit.watchword.token_files.writing import account, batch, google_uri, only_token, read
from watchword.token_files.pictures import PNG, codes_of
from watchword.token_files.reading import TokenFile
from watchword.token_files.tokens import TokenFileError


def _picture(text: str) -> bytes:
    out = io.BytesIO()
    segno.make_qr(text).save(out, kind="png", scale=4)
    return out.getvalue()


def _blank(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("1", (width, height), 1).save(out, format="PNG")
    return out.getvalue()


def test_an_export_is_read_from_a_picture_of_it() -> None:
    uri = google_uri(batch(account()))

    content = codes_of(_picture(uri))

    assert only_token(read(content, TokenFile.GOOGLE)).account == "anna@example.org"


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (PNG, "not a picture"),
        (PNG + b"noise" * 100, "not a picture"),
        (_picture("x")[:60], "not a picture"),
        (_blank(40, 40), "no QR code"),
        (_blank(9_000, 5_000), "too large"),
    ],
)
def test_what_is_no_picture_is_refused(picture: bytes, said: str) -> None:
    with pytest.raises(TokenFileError, match=said):
        codes_of(picture)
