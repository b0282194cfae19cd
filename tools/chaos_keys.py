"""The long fault run of keys: replaced at full load, by workers that are killed at random."""

from datetime import timedelta
from functools import partial

from libs.sealing.data_keys import DataKeys
from libs.sealing.key_file import FileProvider, read_key_file, write_key_file
from libs.sealing.rotation_store import Kind
from tests.integration.verification import grounds, rotation_runs, runs
from tests.integration.verification.conftest import running_world
from tools.chaos_ground import Ground


async def rotations(ground: Ground) -> runs.Numbers:
    """Replace data keys and what wraps them, again and again, while people log in."""
    file = ground.folder / "rotated-keys"
    file.unlink(missing_ok=True)
    write_key_file(file)
    opened = running_world(
        await grounds.new_database(ground.running),
        ground.running.valkey_url,
        ground.folder,
        patience=timedelta(seconds=10),
        provider=FileProvider(partial(read_key_file, file)),
        keys=partial(DataKeys, ages=rotation_runs.AGES),
    )
    async with opened as world:
        kinds = (Kind.DATA, Kind.WRAPPING) * 2
        return await rotation_runs.rotation_run(world, file, people=50, kinds=kinds)
