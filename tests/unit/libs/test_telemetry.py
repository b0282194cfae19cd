import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from libs.telemetry import FileExporter, WithoutAddresses


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[tuple[FastAPI, Path]]:
    file = tmp_path / "spans.jsonl"
    provider = TracerProvider()
    provider.add_span_processor(WithoutAddresses())
    provider.add_span_processor(SimpleSpanProcessor(FileExporter(file)))
    app = FastAPI(telemetry={"tracer_provider": provider, "metrics": False, "logs": False})

    @app.get("/known/{number}")
    async def known(number: str) -> str:
        return number

    yield app, file
    provider.shutdown()


@pytest.mark.security("S14")
@pytest.mark.parametrize("path", ["/known/canary?code=canary", "/unknown/canary?code=canary"])
async def test_a_span_holds_neither_path_nor_query(traced: tuple[FastAPI, Path], path: str) -> None:
    app, file = traced
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        await http.get(path)

    spans = [json.loads(line) for line in file.read_text().splitlines()]
    assert spans != []
    assert "canary" not in json.dumps(spans)
