"""What `make sabotage` breaks in enrollment, and who must notice."""

from tools.patches import Patch

_E = "services/enrollment"
_T = "tests/integration/enrollment"

ENROLLMENT_PATCHES = (
    Patch(
        "presence-again",
        f"{_E}/store/presences.py",
        "return bool(taken)",
        "return True",
        "a proof of presence is good once",
        f"{_T}/test_presence.py::test_of_parallel_uses_of_a_receipt_one_counts",
    ),
    Patch(
        "presence-of-anybody",
        f"{_E}/use_cases/presences.py",
        "if _is_of(active, shown) and",
        "if",
        "a proof of presence is of this person",
        f"{_T}/test_presence.py::test_what_is_no_receipt_of_this_person_here_and_now_is_refused",
    ),
    Patch(
        "any-receipt-opens",
        f"{_E}/use_cases/enroll.py",
        "isinstance(taken, Refusal) or taken:",
        "isinstance(taken, Refusal) or person.presence is not None:",
        "somebody else's receipt opens no enrollment",
        f"{_T}/test_sent_codes.py::test_a_proof_of_presence_opens_too_and_somebody_elses_does_not",
    ),
    Patch(
        "email-code-again",
        f"{_E}/use_cases/opening.py",
        "status=Status.USED",
        "status=Status.OPEN",
        "a code to the login address opens one enrollment",
        f"{_T}/test_sent_codes.py::test_of_parallel_starts_with_one_code_one_opens",
    ),
    Patch(
        "email-code-for-ever",
        f"{_E}/domain/sent_codes.py",
        "and code.tries_left > 0 and now < code.expires",
        "and code.tries_left > 0",
        "a code that was sent ends after ten minutes",
        f"{_T}/test_sent_codes.py::test_five_tries_and_ten_minutes",
    ),
    Patch(
        "new-code-new-tries",
        f"{_E}/use_cases/sent_codes.py",
        "tries_left=tries_of_next(earlier, now)",
        "tries_left=5",
        "another code gives no tries back",
        f"{_T}/test_sent_codes.py::test_another_code_makes_the_first_void_and_gives_no_tries_back",
    ),
    Patch(
        "one-number-at-once",
        f"{_E}/store/sent_codes.py",
        "SELECT pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 0))",
        "SELECT hashtextextended(encode($1, 'hex'), 0)",
        "codes to one number are counted, whoever asks at the same time",
        f"{_T}/test_sent_codes.py::test_parallel_requests_send_one_code_to_a_number",
    ),
    Patch(
        "code-to-any-attempt",
        f"{_E}/use_cases/messages.py",
        "if stored.claimed_by not in (None, attempt):",
        "if False:",
        "only the first attempt hears a code",
        f"{_T}/test_sent_codes.py::"
        "test_only_the_first_attempt_hears_the_code_and_nobody_after_its_end",
    ),
    Patch(
        "handover-again",
        f"{_E}/use_cases/handovers.py",
        "            await drop_handover(tx, one.enrollment_id)\n",
        "",
        "a link is good once",
        f"{_T}/test_handovers.py::test_either_is_good_once",
    ),
    Patch(
        "handover-code-for-ever",
        f"{_E}/use_cases/handovers.py",
        "await save_tries(tx, after_wrong_code(one))",
        "await save_tries(tx, one)",
        "a code to type is guessed five times at most",
        f"{_T}/test_handovers.py::test_five_wrong_codes_are_the_end",
    ),
    Patch(
        "two-pins",
        f"{_E}/use_cases/confirm.py",
        "await remove_all(tx, tenant, replaced, reset_id=None, now=now)",
        "await remove_all(tx, tenant, (), reset_id=None, now=now)",
        "a new PIN takes the place of the old one",
        f"{_T}/test_factors.py::test_a_new_pin_takes_the_place_of_the_old_one",
    ),
    Patch(
        "spent-recovery-code",
        f"{_E}/domain/recovery_codes.py",
        "return left if len(left) < len(codes) else None",
        "return tuple(codes) if len(left) < len(codes) else None",
        "the code that confirms a card is spent",
        f"{_T}/test_factors.py::test_ten_codes_are_shown_and_the_one_that_confirms_is_spent",
    ),
    Patch(
        "last-one-goes",
        f"{_E}/use_cases/staying_on.py",
        "            if is_person:\n                return DisablingRefused.MANDATORY",
        "            if False:\n                return DisablingRefused.MANDATORY",
        "nobody takes the last authenticator away where one is required",
        f"{_T}/test_disabling.py::test_the_last_authenticator_stays_like_all_of_them",
    ),
)
