"""The exchange of the model while a server runs."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from glossrank.server import serving
from glossrank.server.serving import Served, ServedModel
from glossrank.server.settings import ServerSettings
from glossrank.verdicts.models import ModelHistory


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelHistory:
    monkeypatch.setattr(serving, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(serving, "RETRY_SECONDS", 0.01)
    found = ModelHistory(tmp_path / "models")
    found.folder.mkdir()
    return found


def take_in(history: ModelHistory, model: Path) -> None:
    shutil.copytree(model, history.folder / "next")
    history.take_in(history.folder / "next")


async def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_models_that_nobody_uses_any_more_are_let_go(
    history: ModelHistory, tiny_model: Path, tmp_path: Path
) -> None:
    settings = ServerSettings(data=tmp_path, model=str(tiny_model), request_seconds=0.1)
    seen: list[Served] = []

    async def exchange() -> None:
        served = ServedModel(settings, lambda *_: None)
        first = served.now
        following = asyncio.create_task(served.follow(seen.append))
        take_in(history, tiny_model)
        await until(lambda: served.now.name == "0001")
        # A request that began before still gets its scores.
        assert first.queue.alive
        history.take_back()
        await until(lambda: served.now.name == str(tiny_model))
        await until(lambda: not first.queue.alive)
        assert served.now.queue.alive
        following.cancel()
        served.close()

    asyncio.run(exchange())
    assert [one.name for one in seen] == ["0001", str(tiny_model)]


def test_a_model_that_cannot_be_loaded_is_tried_again(
    history: ModelHistory, tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ServerSettings(data=tmp_path, model=str(tiny_model))

    async def exchange() -> None:
        served = ServedModel(settings, lambda *_: None)
        failures = [RuntimeError("of a library"), MemoryError()]

        def use(_: Served) -> None:
            if failures:
                raise failures.pop()

        following = asyncio.create_task(served.follow(use))
        take_in(history, tiny_model)
        await until(lambda: served.now.name == "0001")
        following.cancel()
        served.close()

    with caplog.at_level("ERROR", logger="glossrank.server"):
        asyncio.run(exchange())
    assert caplog.text.count("cannot be loaded") == 2
