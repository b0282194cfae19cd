"""QR codes in a picture, as lines of text: where the packages for it are installed."""

import io

from watchword.token_files.tokens import TokenFileError

PNG = b"\x89PNG\r\n\x1a\n"
# A screen has less; unpacked, a picture may be much larger than its file.
_MOST_PIXELS = 40_000_000


def codes_of(picture: bytes) -> bytes:
    """Return what the QR codes of a picture say, one a line; raises TokenFileError."""
    try:
        import zxingcpp
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        raise TokenFileError("pictures need the packages zxing-cpp and pillow") from None
    try:
        with Image.open(io.BytesIO(picture), formats=["PNG"]) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise TokenFileError("the picture is too large")
            formats = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
            codes = zxingcpp.read_barcodes(image.convert("L"), formats=formats)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        raise TokenFileError("not a picture that can be read") from None
    if not codes:
        raise TokenFileError("there is no QR code in the picture")
    return "\n".join(str(code.text) for code in codes).encode()
