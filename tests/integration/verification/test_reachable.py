"""What verification documents can be asked through the front door."""

from deploy.local.front_door import ROUTES
from tests.integration.verification.conftest import World


async def test_every_documented_route_is_led_to_by_the_front_door(world: World) -> None:
    paths = (await world.public.get("/openapi/verification.json")).json()["paths"]

    assert "/v1/unlocks" in paths
    for path in paths:
        assert any(path == led or path.startswith(f"{led}/") for led in ROUTES["verification"])
