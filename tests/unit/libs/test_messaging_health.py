from datetime import UTC, datetime, timedelta

from libs.messaging.consumer import ConsumerHealth
from libs.service.parts import MessagingHealth

_BEGAN = datetime(2027, 1, 1, tzinfo=UTC)
_LATER, _LAST = _BEGAN + timedelta(minutes=1), _BEGAN + timedelta(minutes=2)


def _health(**consumers: ConsumerHealth) -> MessagingHealth:
    return MessagingHealth(consumers=consumers, began=_BEGAN)


def test_what_all_consumers_did_and_have_before_them_is_summed() -> None:
    many = ConsumerHealth(lag=97_000, parked=2, handled=3_000, dead=1)
    few = ConsumerHealth(lag=5, parked=1, handled=40, dead=3)

    readings = _health(many=many, few=few).readings()

    assert readings["consumer_lag"] == 97_005
    assert (readings["consumer_parked"], readings["consumer_dead"]) == (3, 4)
    assert readings["consumer_handled"] == 3_040


def test_the_copies_are_as_old_as_the_most_silent_consumer_lets_them_become() -> None:
    last, later, never = (ConsumerHealth(last_poll=at) for at in (_LAST, _LATER, None))

    assert _health(one=last, other=later).heard == _LATER
    assert _health(one=later, other=last).heard == _LATER
    assert _health(one=last, other=never).heard == _BEGAN
    assert _health(one=last).heard == _LAST


def test_a_process_without_consumers_shows_when_it_began() -> None:
    health = _health()

    assert (health.heard, health.readings()["consumer_lag"]) == (_BEGAN, 0)
