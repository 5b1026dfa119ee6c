"""New tickets begin as the settings say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crm_sync.sandbox.server import html_page, lose, refuse
from tests.integration.glpi.desk import EMAIL, WEBSITE, Desk, once
from tests.integration.glpi.test_conversations import begin

OBSERVER = 3


def insert(desk: Desk, itemtype: str, /, **columns: Any) -> int:
    """Somebody makes a record in GLPI."""
    with desk.glpi.state.lock:
        return int(desk.glpi.state[itemtype].insert(columns)["id"])


def category(desk: Desk, name: str, **more: Any) -> int:
    """Somebody makes a category, for all entities."""
    name = desk.glpi.state.flavour.stored(name)
    columns = {"name": name, "completename": name, "level": 1, "entities_id": 0, "is_recursive": 1}
    return insert(desk, "ITILCategory", **columns | more)


def role(desk: Desk, ticket_id: int, number: int) -> list[int]:
    """The users who are this to a ticket."""
    return [
        row["users_id"] for row in desk.rows("Ticket_User", tickets_id=ticket_id) if row["type"] == number
    ]


# -- words ---------------------------------------------------------------------------------------------------------


def test_the_templates_say_title_and_description(desk: Desk) -> None:
    desk.set(
        title_template="{subject} | {contact} via {inbox} ({channel}) {email}{phone}: {message}",
        content_template="From {contact} <{email}>\n\n{message}\n\nSee {link}",
    )
    contact = desk.chatwoot.create_contact(name="Ana <b>{id}</b>", email="ana@example.com")
    conversation = desk.chatwoot.create_conversation(
        contact.id, EMAIL, "Line one\nline <two> & {link}", subject="Re: {contact} & \nco"
    )
    desk.sync()

    ticket = desk.row("Ticket")
    where = f"{desk.account.chatwoot_url}/app/accounts/{desk.account.chatwoot_account_id}"
    link = f"{where}/conversations/{conversation.id}"
    title = ticket["name"]
    if desk.glpi.state.flavour.sanitizes:
        title = title.replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&")
    assert title == (
        "Re: {contact} & co | Ana <b>{id}</b> via Support e-mail (Email) ana@example.com: "
        "Line one line <two> & {link}"
    )
    assert desk.content(ticket).startswith(
        "<p>From Ana &lt;b&gt;{id}&lt;/b&gt; &lt;ana@example.com&gt;</p>"
        "<div><div>Line one<br>line &lt;two&gt; &amp; {link}</div></div>"
        f'<p>See <a href="{link}">{link}</a></p><!-- crm-sync/'
    )


def test_a_long_title_is_cut(desk: Desk) -> None:
    desk.set(title_template="{message}")
    begin(desk, "é" * 400)
    desk.sync()

    assert desk.row("Ticket")["name"] == "é" * 255


@pytest.mark.parametrize("settings", [{"title_template": "{subject}", "content_template": "{subject}"}])
def test_a_template_that_comes_out_empty_leaves_words_to_go_by(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()

    ticket = desk.row("Ticket")
    assert ticket["name"] == f"Conversation #{number}"
    assert desk.texts(ticket["id"])[0] == "New conversation from Ana Souza"


def test_a_message_that_the_description_does_not_hold_is_a_followup(desk: Desk) -> None:
    desk.set(content_template="Chat with {contact}")
    begin(desk)
    desk.sync()

    assert desk.texts(desk.row("Ticket")["id"]) == ["Chat with Ana Souza", "It does not print"]


# -- type, category ------------------------------------------------------------------------------------------------


def test_type_and_category_go_by_the_inbox(desk: Desk) -> None:
    printers, mail, other = category(desk, "Printers"), category(desk, "Mail"), category(desk, "Other")
    desk.set(
        category_id=str(other),
        category_by_inbox=json.dumps({"website": printers, str(EMAIL): mail}),
        type_by_inbox=json.dumps({"Website": 2}),
    )
    contact, _ = begin(desk)
    desk.chatwoot.create_conversation(contact, EMAIL, "Hello")
    desk.chatwoot.create_conversation(contact, 12, "Hi")
    desk.sync()

    found = [(row["itilcategories_id"], row["type"]) for row in desk.rows("Ticket")]
    assert found == [(printers, 2), (mail, 1), (other, 1)]
    shown = desk.chatwoot.state.conversations[812].custom_attributes
    assert (shown["glpi_category"], shown["glpi_ticket_type"]) == ("Printers", "Request")


def test_a_category_that_is_called_like_the_inbox_is_taken(desk: Desk) -> None:
    desk.chatwoot.state.inboxes[WEBSITE].name = "Café & Co"
    wanted = category(desk, "CAFE & CO")
    category(desk, "Café & Co", level=2)
    desk.set(category_named_like_inbox="true")
    contact, _ = begin(desk)
    desk.sync()
    assert desk.row("Ticket")["itilcategories_id"] == wanted
    assert [call for call in desk.calls() if "Category" in call] == ["GET /ITILCategory"]

    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()
    assert desk.calls() == ["POST /Ticket"]


def test_an_inbox_without_a_category_of_its_name_has_the_usual_one(desk: Desk) -> None:
    usual = category(desk, "Usual")
    desk.set(category_named_like_inbox="true", category_id=str(usual))
    begin(desk)
    desk.sync()

    assert desk.row("Ticket")["itilcategories_id"] == usual


def test_what_goes_by_the_inbox_does_not_change_later(desk: Desk) -> None:
    printers, mail = category(desk, "Printers"), category(desk, "Mail")
    desk.set(category_by_inbox=json.dumps({"Website": printers}))
    _, number = begin(desk)
    desk.sync()
    desk.set(category_by_inbox=json.dumps({"Website": mail}), ticket_type="2")
    desk.chatwoot.set_priority(number, "high")
    desk.sync()

    ticket = desk.row("Ticket")
    assert (ticket["itilcategories_id"], ticket["type"], ticket["urgency"]) == (printers, 1, 4)


def test_urgency_and_impact_go_by_the_settings(desk: Desk) -> None:
    desk.set(urgency_by_priority='{"urgent":4,"none":2}', impact_by_priority='{"urgent":1}')
    _, number = begin(desk)
    desk.sync()
    ticket = desk.row("Ticket")
    assert (ticket["urgency"], ticket["impact"]) == (2, 3)

    desk.chatwoot.set_priority(number, "urgent")
    desk.sync()
    ticket = desk.row("Ticket")
    assert (ticket["urgency"], ticket["impact"]) == (4, 1)
    shown = desk.chatwoot.state.conversations[number].custom_attributes
    assert (shown["glpi_urgency"], shown["glpi_impact"]) == ("High", "Very Low")


# -- observers, fields ---------------------------------------------------------------------------------------------


def test_observers_are_named_even_where_glpi_drops_them(desk: Desk) -> None:
    """They have no profile, so that GLPI 11 leaves them out of a new ticket without a word."""
    one, two = desk.add_user("one"), desk.add_user("two")
    desk.set(observer_ids=f"[{one},{two}]")
    contact, _ = begin(desk)
    desk.sync()
    assert role(desk, desk.row("Ticket")["id"], OBSERVER) == [one, two]

    desk.calls()
    desk.chatwoot.create_conversation(contact, WEBSITE, "Again")
    desk.sync()
    more = ["POST /Ticket_User"] * 2 if desk.glpi.state.flavour.is_11 else []
    assert desk.calls() == ["POST /Ticket", *more]


@pytest.mark.parametrize("kind", [lose, html_page, refuse])
@pytest.mark.parametrize("write", ["/Ticket", "/Ticket_User"])
def test_observers_are_named_once_when_an_answer_is_lost(desk: Desk, kind: Any, write: str) -> None:
    one, two = desk.add_user("one"), desk.add_user("two")
    desk.set(observer_ids=f"[{one},{two}]")
    fault, _ = once(kind, "POST", write)
    desk.strike(fault)
    begin(desk)
    desk.settle()

    assert role(desk, desk.row("Ticket")["id"], OBSERVER) == [one, two]


FIELDS = '{"where":"locations_id","what":"itilcategories_id","due":"time_to_resolve","how":"urgency"}'


def test_custom_attributes_fill_fields_at_once_and_when_they_change(desk: Desk) -> None:
    printers, mail = category(desk, "Printers"), category(desk, "Mail")
    place = insert(desk, "Location", name="Lisbon", completename="Lisbon")
    desk.set(ticket_fields=FIELDS, category_by_inbox=json.dumps({"Website": mail}))
    given = {"where": str(place), "what": printers, "due": "2026-11-30T12:00:00Z", "how": "many"}
    _, number = begin(desk, custom_attributes=given)
    desk.sync()

    ticket = desk.row("Ticket")
    assert (ticket["locations_id"], ticket["itilcategories_id"]) == (place, printers)
    assert (ticket["time_to_resolve"], ticket["urgency"]) == ("2026-11-30 09:00:00", 3)
    assert any("Left out: how ('many') is no level for urgency." in words for words in desk.outcomes())
    shown = desk.chatwoot.state.conversations[number].custom_attributes
    assert (shown["glpi_category"], shown["glpi_sla_ttr"]) == ("Printers", "2026-11-30T12:00:00Z")

    desk.calls()
    known = desk.chatwoot.state.conversations[number].custom_attributes
    desk.chatwoot.set_custom_attributes(number, known | {"what": mail, "due": "2026-12-01", "how": 5})
    desk.sync()
    ticket = desk.row("Ticket")
    assert (ticket["itilcategories_id"], ticket["urgency"]) == (mail, 5)
    # The end of the day by the clock of the account: since its setup UTC on GLPI 10, the server's on GLPI 11.
    follows = desk.glpi.state.flavour.sanitizes
    assert ticket["time_to_resolve"] == f"2026-12-01 {'20' if follows else '23'}:59:59"
    # What the category is called the setup has found out: the settings name it.
    assert desk.calls() == ["PUT /Ticket"]
    shown = desk.chatwoot.state.conversations[number].custom_attributes
    assert (shown["glpi_category"], shown["glpi_urgency"]) == ("Mail", "Very High")
    assert shown["glpi_sla_ttr"] == ("2026-12-01T23:59:59Z" if follows else "2026-12-02T02:59:59Z")

    desk.chatwoot.set_priority(number, "low")
    desk.sync()
    ticket = desk.row("Ticket")
    assert (ticket["urgency"], ticket["impact"]) == (5, 2)


# -- found again ---------------------------------------------------------------------------------------------------


def test_a_ticket_of_glpi_11_carries_the_marker_as_its_external_id(desk: Desk) -> None:
    _, number = begin(desk)
    desk.sync()

    ticket = desk.row("Ticket")
    mark = f"/1/conversation/{number}/".replace("/1/", f"/{desk.account.chatwoot_account_id}/")
    assert mark in desk.content(ticket)
    if desk.glpi.state.flavour.is_11:
        assert ticket["externalid"].endswith(mark)


def test_a_ticket_is_found_again_by_its_external_id_alone(desk: Desk) -> None:
    if not desk.glpi.state.flavour.is_11:
        pytest.skip("GLPI 10 keeps no external id")
    fault, hit = once(lose, "POST", "/Ticket")
    desk.strike(fault)
    begin(desk)
    desk.take(desk.deliveries())
    desk.drain()
    assert hit.is_set()
    desk.write("Ticket", desk.row("Ticket")["id"], content="<p>Rewritten by somebody</p>")
    desk.settle()

    assert len(desk.rows("Ticket")) == 1


@pytest.mark.parametrize("kept", ["<p>It</p>&#60;!-- {mark}first/50101/ --&#62;", "<p>It</p><!-- {mark} -->"])
def test_a_ticket_is_found_again_however_glpi_keeps_its_content(desk: Desk, kept: str) -> None:
    """An 11 that was a 10 keeps old rows encoded, and those have no external id."""
    fault, _ = once(lose, "POST", "/Ticket")
    desk.strike(fault)
    begin(desk)
    desk.take(desk.deliveries())
    desk.drain()
    ticket = desk.row("Ticket")
    mark = desk.content(ticket).partition("<!-- ")[2].partition("first/")[0]
    bare = {"externalid": None} if "externalid" in ticket else {}
    desk.write("Ticket", ticket["id"], content=kept.format(mark=mark), **bare)
    desk.settle()

    assert len(desk.rows("Ticket")) == 1
