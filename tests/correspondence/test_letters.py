"""Letters: the form, the answer on a page and by mail, erasure; and the commands."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from post_house import ANA, PostHouse
from sqlalchemy import select

from emeritus.access.service import PlanTerms
from emeritus.errors import InputError, NotEntitled
from emeritus.records.tables import BatchLine, Message
from emeritus.web.console.desk import Desk
from emeritus.web.house import House
from emeritus.web.site import build_site


@pytest.fixture
async def browser(post: PostHouse) -> AsyncIterator[httpx.AsyncClient]:
    """A browser without scripts at the site."""
    transport = httpx.ASGITransport(build_site(House(post.app), Desk.of(post.app)))
    async with httpx.AsyncClient(transport=transport, base_url="http://house.example") as client:
        yield client


async def test_a_letter_is_written_answered_mailed_and_erased(post: PostHouse, browser: httpx.AsyncClient) -> None:
    """The form shows the window; page and mail have the answer after it; erasing leaves nothing."""
    form = await browser.get("/residents/heron/letter")
    assert "sun 02:00-06:00" in form.text
    sent = {"text": "What is your <b>name</b>?", "key": post.key(), "contact": "ben@example.org"}
    answered = await browser.post("/residents/heron/letter", data=sent)
    assert answered.status_code == 303
    address = answered.headers["location"]
    page = await browser.get(address)
    assert page.headers["cache-control"] == "no-store"
    assert "What is your &lt;b&gt;name&lt;/b&gt;?" in page.text
    assert "<b>waiting</b>" in page.text
    post.clock.move(hours=15)
    assert await post.round() == 1
    assert "A heron." in (await browser.get(address)).text
    await post.round()
    await post.round()
    with post.app.database.reading() as session:
        (mail,) = session.scalars(select(Message)).all()
    assert (mail.recipient, "A heron." in mail.body) == ("ben@example.org", True)
    assert (await browser.post(address, data={"do": "erase"})).status_code == 303
    assert (await browser.get(address)).status_code == 404
    with post.app.database.reading() as session:
        assert session.scalars(select(BatchLine)).all() == []


async def test_a_letter_needs_a_right_and_a_text(post: PostHouse, browser: httpx.AsyncClient) -> None:
    """Without a key, with a wrong one, or without a text, one clear error and no letter."""
    for data in ({"text": "x"}, {"text": "x", "key": "em_wrong"}):
        assert (await browser.post("/residents/wren/letter", data=data)).status_code == 401
    empty = await browser.post("/residents/wren/letter", data={"text": " ", "key": post.key()})
    assert empty.status_code == 400
    forged = await browser.post(
        "/residents/wren/letter", data={"text": "x", "key": post.key()}, headers={"origin": "http://evil.example"}
    )
    assert forged.status_code == 403
    assert post.app.answering.letters.all() == []


async def test_someone_signed_in_writes_by_their_plan(post: PostHouse) -> None:
    """A member of a plan needs no key; who belongs to none may not write; an address must be one."""
    answering = post.app.answering
    with pytest.raises(NotEntitled):
        answering.write("wren", "Your name?", "eve", None)
    post.app.access.set_plan("paid", PlanTerms("Paid"), "r", ANA)
    post.app.access.members.add("paid", "eve")
    with pytest.raises(InputError, match="no mail address"):
        answering.write("wren", "Your name?", "eve", "nowhere")
    secret = answering.write("wren", "Your name?", "eve", None)
    assert await post.round() == 1
    assert answering.letters.by_link(secret).answer == "A heron."
