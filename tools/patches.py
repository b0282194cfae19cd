"""What `make sabotage` breaks: a place in SQL, a script or a step, and who must notice."""

from dataclasses import dataclass

_V = "services/verification"
_T = "tests/integration/verification"
_LAST = f"{_T}/test_last_word.py::test_a_right_code_is_refused_where_only_postgresql_knows_why"


@dataclass(frozen=True)
class Patch:
    """One change for the worse, the promise that it breaks, and the test that must see it."""

    name: str
    file: str
    old: str
    new: str
    breaks: str
    test: str


PATCHES = (
    Patch(
        "accept-same-step-again",
        f"{_V}/settle.sql",
        "a.last_step < e.step",
        "a.last_step <= e.step",
        "a code is accepted once",
        f"{_T}/test_verify.py::test_accepts_a_code_once",
    ),
    Patch(
        "accept-recovery-code-again",
        f"{_V}/settle.sql",
        "a.used & (1::bigint << e.step::int) = 0",
        "true",
        "each recovery code is accepted once",
        f"{_T}/test_backup_codes.py::test_accepts_each_code_once_in_any_order",
    ),
    Patch(
        "accept-removed",
        f"{_V}/settle.sql",
        "AND a.status = 'active' AND a.epoch = e.epoch",
        "AND a.epoch = e.epoch",
        "a removed authenticator opens nothing",
        _LAST,
    ),
    Patch(
        "accept-older-epoch",
        f"{_V}/settle.sql",
        "AND a.status = 'active' AND a.epoch = e.epoch",
        "AND a.status = 'active'",
        "a revocation counts also for what was cached before",
        _LAST,
    ),
    Patch(
        "accept-locked",
        f"{_V}/settle.sql",
        "AND h.consecutive < $21 AND h.lookup",
        "AND h.lookup",
        "a locked subject is not let in",
        _LAST,
    ),
    Patch(
        "accept-over-budget",
        f"{_V}/settle.sql",
        "        AND h.level + CASE WHEN e.charged THEN 0 ELSE e.weight END <= $19\n",
        "",
        "nothing over the limit is accepted",
        _LAST,
    ),
    Patch(
        "accept-revoked-key",
        f"{_V}/settle.sql",
        "        AND r.version = c.version AND NOT r.deleted\n"
        "    JOIN replica p ON p.tenant_id = c.tenant_id AND p.topic = $35 AND p.key = c.key\n"
        "        AND p.version = c.policy_version AND NOT p.deleted\n"
        "    ORDER",
        "    JOIN replica p ON p.tenant_id = c.tenant_id AND p.topic = $35 AND p.key = c.key\n"
        "        AND p.version = c.policy_version AND NOT p.deleted\n"
        "    ORDER",
        "a revoked key gets nothing accepted",
        f"{_T}/test_memory_may_not_say_yes.py",
    ),
    Patch(
        "pin-oracle",
        f"{_V}/use_cases/verify.py",
        "if isinstance(first, Accepted) and first.factor != Factor.PIN:",
        "if first is not None:",
        "a repeat is no way to guess at a PIN",
        f"{_T}/test_attacks_on_repeats.py",
    ),
    Patch(
        "lock-undone-by-load",
        f"{_V}/scripts/fill.lua",
        "consecutive = math.max(tonumber(consecutive), tonumber(kept[4]))",
        "consecutive = tonumber(consecutive)",
        "a lock holds against a load that began before it",
        f"{_T}/test_attacks_on_repeats.py",
    ),
    Patch(
        "revocation-overtaken",
        f"{_V}/settle.sql",
        "    ORDER BY r.tenant_id, r.key FOR SHARE OF r SKIP LOCKED\n",
        "",
        "nothing is accepted once a revocation is effective",
        f"{_T}/test_attacks_on_repeats.py",
    ),
    Patch(
        "name-kept-for-ever",
        f"{_V}/use_cases/verify.py",
        "        if refused.why is Why.NOTHING_ENROLLED:\n"
        "            self.lookups.forget(question.name)\n",
        "",
        "a name that is given again finds its new owner",
        f"{_T}/test_attacks_on_repeats.py",
    ),
    Patch(
        "key-used-for-ever",
        f"{_V}/settle.sql",
        "            AND w.at > e.now - $29::interval)",
        "            AND $29::interval IS NOT NULL)",
        "an Idempotency-Key is forgotten after 15 minutes",
        f"{_T}/test_attacks_on_repeats.py",
    ),
    Patch(
        "device-number-too-large",
        f"{_V}/domain/device.py",
        "    if max(key_version, generation) > _MOST:\n        return None\n",
        "",
        "a forged device token is no more than none",
        f"{_T}/test_attacks_on_repeats.py",
    ),
    Patch(
        "accept-renamed",
        f"{_V}/settle.sql",
        "AND h.consecutive < $21 AND h.lookup = e.lookup",
        "AND h.consecutive < $21",
        "a name opens only what it is the name of",
        f"{_T}/test_memory_may_not_say_yes.py",
    ),
    Patch(
        "accept-under-used-key",
        f"{_V}/settle.sql",
        "w.idempotency_key = e.idempotency_key\n",
        "w.idempotency_key = e.idempotency_key AND false\n",
        "an Idempotency-Key belongs to one request",
        f"{_T}/test_memory_may_not_say_yes.py",
    ),
    Patch(
        "settle-without-row-lock",
        f"{_V}/settle.sql",
        "ORDER BY s.tenant_id, s.id FOR UPDATE OF s",
        "ORDER BY s.tenant_id, s.id",
        "every failure is counted",
        f"{_T}/test_memory_may_not_say_yes.py",
    ),
    Patch(
        "settle-without-event",
        f"{_V}/settle.sql",
        "    FROM said\n",
        "    FROM said WHERE false\n",
        "no outcome without its event",
        f"{_T}/test_verify.py::test_accepts_the_code_that_the_phone_shows",
    ),
    Patch(
        "failure-uncounted",
        f"{_V}/settle.sql",
        "SET consecutive = s.consecutive + 1",
        "SET consecutive = s.consecutive",
        "too many failures in a row lock",
        f"{_T}/test_verify.py::test_too_many_failures_in_a_row_lock_until_a_new_binding",
    ),
    Patch(
        "two-of-a-person-in-a-batch",
        f"{_V}/settle.py",
        "            apart=lambda entry: (entry.caller.tenant, entry.subject_ref),\n",
        "",
        "every outcome of a person is settled",
        f"{_T}/test_settler.py::test_what_waits_when_settling_stops_is_settled",
    ),
    Patch(
        "guess-for-nothing",
        f"{_V}/scripts/reserve.lua",
        "tostring(level + weight),",
        "tostring(level),",
        "no guess over the limit is evaluated",
        f"{_T}/test_budget_agrees.py::test_python_lua_and_sql_agree_on_every_guess",
    ),
    Patch(
        "one-guess-too-many",
        f"{_V}/scripts/reserve.lua",
        "if level + weight > capacity",
        "if level + weight > capacity + 1",
        "no guess over the limit is evaluated",
        f"{_T}/test_verify.py::test_guesses_over_the_budget_are_never_evaluated",
    ),
    Patch(
        "many-tried-for-one",
        f"{_V}/scripts/reserve.lua",
        "local weight = tonumber(string.match(kept[5], ' ' .. on .. ':(%d+) ') or 1)",
        "local weight = 1",
        "several authenticators do not make guessing easier",
        f"{_T}/test_verify.py::test_several_authenticators_do_not_make_guessing_easier",
    ),
    Patch(
        "old-copy-kept",
        f"{_V}/scripts/changed.lua",
        "    redis.call('HDEL', key, 'c')\n",
        "",
        "what PostgreSQL contradicted is loaded again",
        f"{_T}/test_cache.py::test_a_copy_that_was_contradicted_is_handed_out_no_more",
    ),
    Patch(
        "bucket-forgotten-on-load",
        f"{_V}/scripts/fill.lua",
        "level = math.max(math.max(0, level - (later - at) * rate), other)",
        "level = math.max(0, level - (later - at) * rate)",
        "a load does not give guesses back",
        f"{_T}/test_budget_agrees.py::test_a_load_gives_no_guess_back_that_only_redis_has_charged",
    ),
    Patch(
        "redis-not-told-the-truth",
        f"{_V}/scripts/failed.lua",
        "local level = math.max(tonumber(kept), tonumber(ARGV[2 * i]))",
        "local level = tonumber(kept)",
        "what was guessed without Redis is not guessed again",
        f"{_T}/test_slow_and_silent.py"
        "::test_redis_that_comes_back_knows_what_was_guessed_without_it",
    ),
    Patch(
        "answer-of-another",
        f"{_V}/script_calls.py",
        "reply[place] if isinstance(reply, list)",
        "reply[0] if isinstance(reply, list)",
        "an answer belongs to its request",
        f"{_T}/test_outages.py::test_callers_that_go_away_leave_nothing_behind",
    ),
    Patch(
        "guess-free-without-redis",
        f"{_V}/store/subjects.py",
        " WHERE id = $1 AND consecutive < $5 AND $6 + greatest(0, spent -",
        " WHERE id = $1 AND consecutive < $5 AND 0 * $6 + greatest(0, spent -",
        "without Redis PostgreSQL bounds the guesses",
        f"{_T}/test_budget_agrees.py::test_python_lua_and_sql_agree_on_every_guess",
    ),
    Patch(
        "repeat-not-looked-up",
        f"{_V}/use_cases/verify.py",
        "        if isinstance(first, Accepted | CallerChanged):\n"
        "            await self.guesses.never_made("
        "paid.question.tenant, paid.subject_ref, paid.charged)\n            return first\n"
        "        refused",
        "        refused",
        "a repeat minutes later gets the first answer",
        f"{_T}/test_last_word.py"
        "::test_a_repeat_minutes_later_gets_the_first_answer_and_costs_no_guess",
    ),
    Patch(
        "seal-for-any-place",
        "libs/sealing/seal.py",
        'return b"".join(len(part).to_bytes(4, "big") + part for part in parts)',
        'return b"" if parts else b""',
        "a credential opens in its own place only",
        f"{_T}/test_verify.py::test_a_credential_of_somebody_else_does_not_open",
    ),
    Patch(
        "reasons-for-everybody",
        f"{_V}/api/door.py",
        "reasons = vocabulary.Scope.VERIFY_REASONS in known.caller.scopes",
        "reasons = True",
        "strangers cannot tell refusals apart",
        f"{_T}/test_verify.py::test_strangers_cannot_tell_refusals_apart",
    ),
    Patch(
        "forgetful-redis-taken",
        f"{_V}/reserve.py",
        'if policy != "noeviction":',
        "if policy is None:",
        "a Redis that may forget is refused",
        f"{_T}/test_cache.py",
    ),
    Patch(
        "wait-for-locked-rows",
        f"{_V}/settle.sql",
        "FOR UPDATE OF s SKIP LOCKED",
        "FOR UPDATE OF s",
        "a row that somebody else has locked delays nobody",
        f"{_T}/test_locked_rows.py::test_ten_locked_rows_fail_alone_and_delay_nobody",
    ),
    Patch(
        "locked-application-refuses",
        f"{_V}/settle.sql",
        "SELECT e.n, 0, 0, 'locked' FROM entry e JOIN held h USING (n) JOIN busy b",
        "SELECT e.n, 0, 0, NULL FROM entry e JOIN held h USING (n) JOIN busy b",
        "what nobody knows yet is no answer",
        f"{_T}/test_locked_rows.py",
    ),
    Patch(
        "answer-replaced",
        f"{_V}/settle.sql",
        "CASE WHEN old.at <= excluded.at - $29::interval THEN excluded.request END",
        "excluded.request",
        "one Idempotency-Key has one acceptance, whatever the process",
        f"{_T}/test_fought_over_keys.py",
    ),
    Patch(
        "one-key-twice-in-a-batch",
        f"{_V}/settle.py",
        "            later.add(n)\n",
        "            pass\n",
        "one Idempotency-Key has one acceptance in a batch",
        f"{_T}/test_fought_over_keys.py",
    ),
    Patch(
        "answer-for-a-revoked-key",
        f"{_V}/lookups.py",
        "AND r.key = w.key AND r.version = w.version AND NOT r.deleted)",
        "AND r.key = w.key)",
        "a revoked key is not told an earlier answer",
        f"{_T}/test_fought_over_keys.py",
    ),
    Patch(
        "wrong-clock-settles",
        f"{_V}/settle.sql",
        "WHERE e.timely AND (SELECT known FROM promoted)",
        "WHERE (SELECT known FROM promoted)",
        "a node whose clock is wrong gets nothing accepted",
        f"{_T}/test_clock.py",
    ),
    Patch(
        "wrong-clock-serves",
        f"{_V}/authority.py",
        "return abs(self.offset) >= self._tolerance",
        "return False",
        "a node whose clock is wrong takes itself out",
        f"{_T}/test_clock.py",
    ),
    Patch(
        "wrong-clock-remembers",
        f"{_V}/store/devices.py",
        "SELECT greatest($1, clock_timestamp())",
        "SELECT $1::timestamptz",
        "a clock that is behind remembers no device for longer",
        f"{_T}/test_clock.py",
    ),
    Patch(
        "promotion-not-noticed",
        f"{_V}/migrations/0005_promotion.py",
        "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer",
        "SELECT 1",
        "what an asynchronous standby forgot is not accepted again",
        f"{_T}/test_failover.py",
    ),
    Patch(
        "fence-for-the-present-step-only",
        f"{_V}/domain/promotion.py",
        "return _begins(spending) <= fence.at + MARGIN + _window(spending)",
        "return _begins(spending) <= fence.at + MARGIN",
        "no code of a window that was open before the promotion",
        "tests/unit/verification/test_promotion.py",
    ),
    Patch(
        "fence-without-totp",
        f"{_V}/settle.sql",
        "CASE a.factor WHEN 'totp' THEN e.step * a.period > p.shown_until + a.period",
        "CASE a.factor WHEN 'totp' THEN true",
        "codes of before wait after a promotion",
        f"{_T}/test_promotion.py",
    ),
    Patch(
        "fence-without-counters",
        f"{_V}/settle.sql",
        "WHEN 'hotp' THEN a.fences >= p.fences OR e.pair",
        "WHEN 'hotp' THEN true",
        "a counter takes two codes after a promotion",
        f"{_T}/test_promotion.py",
    ),
    Patch(
        "accept-forbidden-factor",
        f"{_V}/settle.sql",
        "        AND p.version = c.policy_version AND NOT p.deleted\n    ORDER",
        "    ORDER",
        "a factor that a policy has just forbidden opens nothing",
        f"{_T}/test_memory_may_not_say_yes.py",
    ),
    Patch(
        "demoted-server-kept",
        "libs/postgres/hosts.py",
        'options["target_session_attrs"] = "read-write"',
        'options["target_session_attrs"] = "any"',
        "of several servers the one that takes writes is found",
        f"{_T}/test_failover.py",
    ),
    Patch(
        "lag-not-measured",
        "libs/service/loop_lag.py",
        "self._longest = max(self._longest, lag)",
        "self._longest = 0.0",
        "a blocked event loop is seen",
        f"{_T}/test_limits.py",
    ),
)
