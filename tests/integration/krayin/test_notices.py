"""What a workflow of Krayin tells at our address is a hint to look, if it carries our secret."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crm_sync.config import Config
from crm_sync.crms.krayin.notices import HEADER
from crm_sync.receiver import create_app
from tests.integration.krayin.desk import Desk, opened


@pytest.fixture
def wanting(config: Config) -> Iterator[Desk]:
    """A desk with the webhook switched on."""
    given = {"enable_bidirectional_sync": "true", "enable_krayin_webhooks": "true"}
    with opened(config, "2.1.0", given) as desk:
        yield desk


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 202),
        ({"secret": "wrong"}, 401),
        ({"secret": ""}, 401),
        ({"token": "0" * 32}, 404),
        ({"body": b""}, 202),
    ],
)
def test_a_notice_with_our_secret_has_the_hook_pulled(
    wanting: Desk, monkeypatch: pytest.MonkeyPatch, change: dict[str, str | bytes], status: int
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(wanting.runtime.alarm, "pull", asked.append)
    view = wanting.runtime.view(wanting.hook(), wanting.account)
    assert view.notice_secret is not None
    web = create_app(wanting.runtime).test_client()
    secret = str(change.get("secret", view.notice_secret))
    answer = web.post(
        f"/hooks/{change.get('token', wanting.hook().notice_token)}/krayin",
        data=change.get("body", b"lead=cw-1"),
        headers={HEADER: secret} if secret else {},
        content_type="application/x-www-form-urlencoded",
    )
    assert answer.status_code == status
    assert asked == ([wanting.hook_id] if status == 202 else [])
