"""Whatever is sent, the answer is one that the documents tell of, and never a crash (S7)."""

import asyncio
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.people import Tenancy, until

# One system for all of these tests: they run in one worker, one after another.
pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.security("S7")]

SERVICES = ("policy", "enrollment", "verification", "recovery")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# Of recovery no answer leads to another question that a stranger could ask.
_IN_A_ROW = ("policy", "enrollment", "verification")
_SETTINGS = settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


async def documented(tenancy: Tenancy, service: str) -> BaseSchema:
    document = (await tenancy.http.get(f"/openapi/{service}.json")).json()
    assert document["paths"]
    return schemathesis.openapi.from_dict(document)


@pytest.mark.parametrize("service", SERVICES)
async def test_answers_are_those_of_the_document(tenancy: Tenancy, service: str) -> None:
    schema = await documented(tenancy, service)
    key = await key_for(tenancy, service)
    seen: Counter[int] = Counter()

    def ask(case: Case[Any]) -> None:
        seen[answered(tenancy, case, key)] += 1

    operations = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    for operation in operations:
        await asyncio.to_thread(everything_sent, operation, ask)

    assert sum(seen.values()) > 20 * len(operations)
    assert seen.keys() > {422}, "something was understood, too"


@pytest.mark.parametrize("service", _IN_A_ROW)
async def test_answers_are_those_of_the_document_also_in_a_row(
    tenancy: Tenancy, service: str, tmp_path: Path
) -> None:
    key = await key_for(tenancy, service)
    run = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).parent / "schemathesis"), "run"),
        *(f"{tenancy.system.url}/openapi/{service}.json", "--url", tenancy.system.url),
        *("--phases", "stateful", "--max-examples", "20", "--seed", "1", "--no-color"),
        *("--checks", ",".join(check.__name__ for check in CHECKS)),
        *("--header", f"Authorization: Bearer {key}", "--generation-database", "none"),
        # It leaves what it remembers where it runs.
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await run.communicate()

    assert run.returncode == 0, output.decode()
    assert "Stateful" in output.decode()


def everything_sent(operation: APIOperation[Any, Any, Any, Any], ask: Any) -> None:
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @settings(_SETTINGS, max_examples=30)
    @given(case=st.one_of(good, bad))
    def send(case: Case[Any]) -> None:
        ask(case)

    send()


def answered(tenancy: Tenancy, case: Case[Any], key: str) -> int:
    response = case.call(
        base_url=tenancy.system.url, headers={"Authorization": f"Bearer {key}"}, timeout=30
    )
    case.validate_response(response, checks=CHECKS)
    return response.status_code


async def key_for(tenancy: Tenancy, service: str) -> str:
    if service == "policy":
        return tenancy.manage_key
    scopes = ["enroll", "verify", "verify:reasons", "manage"]
    made = await tenancy.must(
        "/v1/applications",
        {"name": "Everything", "scopes": scopes},
        status=201,
        key=tenancy.manage_key,
    )

    async def works() -> bool:
        answer = await tenancy.ask("/v1/decisions", {"subject": "x"}, key=str(made["key"]))
        return answer.status_code == 200

    await until(works)
    return str(made["key"])
