"""What is shown is read back as people do it, by programs that are not ours."""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Browser, Page

from deploy.local.locks import exclusive
from tests.fixtures.programs import installed
from tests.integration.enrollment.world import World
from tools.npm import install

# jsQR is what extensions of browsers read pictures with.
_READER = Path(__file__).parents[2] / "fixtures" / "qr_reader"
_READ = """async (picture) => {
    const image = new Image();
    image.src = picture;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const { data, width, height } = context.getImageData(0, 0, image.width, image.height);
    return jsQR(data, width, height)?.data ?? null;
}"""
_DARK = "#121212"
_FACTORS = (0.5, 0.7, 0.85, 1.0, 1.3, 1.7)
_LABELS = ("kim@example.org", "Zoë Ångström (manager) " + "x" * 120)


@pytest.fixture
async def reader(page: Page) -> Page:
    async with exclusive(_READER / ".state" / "lock"):
        await asyncio.to_thread(install, _READER)
    await page.add_script_tag(path=_READER / "node_modules/jsqr/dist/jsQR.js")
    return page


async def _shown(world: World, label: str) -> dict[str, Any]:
    application = await world.application(name="Acme HR: staff & co")
    person = world.person(application.tenant, label=label)
    wish = {"subject": person.name, "factor": "totp"}
    answer = await world.ask(application, "POST", "/v1/enrollments", wish)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def _read(reader: Page, pictures: Sequence[bytes]) -> list[tuple[str, str | None]]:
    """Return what zxing and jsQR read in each picture."""
    found: list[tuple[str, str | None]] = []
    for picture in pictures:
        image = Image.open(BytesIO(picture))
        kind = f"image/{(image.format or '').lower()}"
        by_script = await reader.evaluate(
            _READ, f"data:{kind};base64,{b64encode(picture).decode()}"
        )
        by_library = zxingcpp.read_barcodes(image)
        found.append((" ".join(code.text for code in by_library), by_script))
    return found


@pytest.mark.requirement("D3")
@pytest.mark.requirement("E2")
@pytest.mark.parametrize("label", _LABELS)
async def test_two_programs_read_the_png_and_screenshots_of_it(
    world: World, reader: Page, label: str
) -> None:
    shown = await _shown(world, label)
    png = b64decode(shown["qr_png"].removeprefix("data:image/png;base64,"))
    on_dark = _on_dark_page(Image.open(BytesIO(png)))
    screenshots = [
        _saved(on_dark.resize((round(on_dark.width * by), round(on_dark.height * by))), form)
        for by in _FACTORS
        for form in ("PNG", "JPEG")
    ]

    found = await _read(reader, [png, *screenshots])

    assert found == [(shown["otpauth_uri"], shown["otpauth_uri"])] * 13


@pytest.mark.requirement("D3")
@pytest.mark.parametrize("label", _LABELS)
async def test_two_programs_read_screenshots_of_the_svg(
    world: World, reader: Page, browser: Browser, label: str
) -> None:
    shown = await _shown(world, label)
    html = f"<body style='background: {_DARK}; padding: 90px 200px'>{shown['qr_svg']}"

    screenshots = []
    for by in _FACTORS:
        context = await browser.new_context(device_scale_factor=by)
        page = await context.new_page()
        await page.set_content(html)
        screenshots += [
            await page.screenshot(full_page=True),
            await page.screenshot(full_page=True, type="jpeg", quality=70),
        ]
        await context.close()
    found = await _read(reader, screenshots)

    assert found == [(shown["otpauth_uri"], shown["otpauth_uri"])] * 12


@pytest.mark.requirement("C5")
async def test_pictures_of_two_logins_of_one_address_make_two_entries(
    world: World, reader: Page
) -> None:
    labels = ("anna@example.org (employee)", "anna@example.org (manager)")
    pictures = [(await _shown(world, label))["qr_png"] for label in labels]

    uris = [await reader.evaluate(_READ, picture) for picture in pictures]

    names = [unquote(urlsplit(uri).path).partition(":")[2] for uri in uris]
    assert tuple(names) == labels


@pytest.mark.requirement("E2")
async def test_another_program_makes_the_codes_of_the_uri_and_of_the_key_that_is_typed(
    world: World,
) -> None:
    application = await world.application()
    person = world.person(application.tenant)
    wish = {"subject": person.name, "factor": "totp"}
    shown = (await world.ask(application, "POST", "/v1/enrollments", wish)).json()
    query = parse_qs(urlsplit(shown["otpauth_uri"]).query, strict_parsing=True)
    how = (f"--totp={query['algorithm'][0]}", f"-s{query['period'][0]}s", f"-d{query['digits'][0]}")

    by_uri = await _oathtool(world, *how, query["secret"][0])
    by_hand = await _oathtool(world, "--totp", "-d6", shown["key"])

    assert by_uri == by_hand
    path = f"/v1/enrollments/{shown['enrollment_id']}/confirmation"
    confirmed = await world.ask(application, "POST", path, {"code": by_uri})
    assert confirmed.status_code == 200, confirmed.text


async def _oathtool(world: World, *arguments: str) -> str:
    program = await installed("oathtool", package="oathtool")
    assert program is not None, "install oathtool"
    now = f"{world.clock():%Y-%m-%d %H:%M:%S} UTC"
    running = await asyncio.create_subprocess_exec(
        *(program, "-b", f"--now={now}", *arguments), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await running.communicate()
    assert running.returncode == 0
    return said.decode().strip()


def _on_dark_page(picture: Image.Image) -> Image.Image:
    page = Image.new("RGB", (picture.width + 500, picture.height + 300), _DARK)
    page.paste(picture.convert("RGB"), (230, 110))
    return page


def _saved(picture: Image.Image, form: str) -> bytes:
    file = BytesIO()
    picture.save(file, form, quality=70)
    return file.getvalue()
