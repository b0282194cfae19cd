from datetime import timedelta

import pytest

from libs.messaging.consumer import ConsumerSettings
from libs.messaging.tables import messaging_tables, tenant_wall, worker_access


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 1), (2, 4), (3, 16), (4, 64), (5, 256), (6, 300), (99, 300)]
)
def test_the_waits_between_attempts_grow_to_a_limit(attempts: int, seconds: int) -> None:
    assert ConsumerSettings().wait_after(attempts) == timedelta(seconds=seconds)


@pytest.mark.parametrize("name", ["", "a b", "a;b", "Policy", 'a"b', "1a", "a" * 50])
def test_only_plain_names_get_into_the_ddl(name: str) -> None:
    with pytest.raises(ValueError, match="plain"):
        messaging_tables(name)
    with pytest.raises(ValueError, match="plain"):
        tenant_wall(name, "policy")
    with pytest.raises(ValueError, match="plain"):
        worker_access(name, "policy", "SELECT")
