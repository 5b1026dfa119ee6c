"""Users, their addresses and their profiles; supplier contacts.

Guarantees: a login is unique over living and binned users alike, and whoever holds the state's lock creates
it at most once; addresses follow the keys of ``_useremails`` as 10.0.19 does (cases ``user-emails-*``).
"""

# Every kind fills some steps of the frame; ItemKind says what each is for and what it gets to know.
# ruff: noqa: ARG002, D102

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crm_sync.sandbox.glpi.errors import Refused
from crm_sync.sandbox.glpi.kinds import Context, ItemKind, SilentKind
from crm_sync.sandbox.glpi.schema import Row
from crm_sync.sandbox.glpi.text import fold
from crm_sync.sandbox.glpi.write import duplicate

_LOGIN = re.compile(r"^[\w'@.\- ]+$")
_EMAIL = re.compile(
    r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)+$"
)


def is_email(text: str) -> bool:
    """Whether the server takes a text for an e-mail address."""
    return _EMAIL.match(text) is not None and ".." not in text.partition("@")[0]


def display_name(row: Row) -> str:
    """Last name, first name; the login where there is no last name."""
    if row.get("realname"):
        return f"{row['realname']} {row['firstname']}" if row.get("firstname") else str(row["realname"])
    return str(row["name"])


class UserKind(ItemKind):
    """People with a login."""

    def name(self, ctx: Context, row: Row) -> str:
        return display_name(row)

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        login = str(values.get("name") or "")
        if not (_LOGIN.match(login) or is_email(login)):
            raise Refused("The login is not valid. Unable to add the user.")
        if ctx.state["User"].alike("name", fold(columns["name"])):
            raise Refused("Unable to add. The user already exists.")
        columns.update(profiles_id=0, entities_id=0)

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        self._write_emails(ctx, row, values)
        default = next(iter(ctx.state["Profile"].where("is_default", 1)), None)
        given = values.get("_profiles_id")
        profile = int(given) if given else (default["id"] if default else 1)
        entity = values.get("_entities_id", values.get("entities_id", ctx.session.active_entity))
        ctx.state["Profile_User"].insert(
            {
                "users_id": row["id"],
                "profiles_id": profile,
                "entities_id": int(entity or 0),
                "is_recursive": int(values.get("_is_recursive") or 0),
                # A profile nobody asked for counts as given by a rule.
                "is_dynamic": 0 if given else 1,
                "is_default_profile": 0 if given else 1,
            }
        )

    def before_update(self, ctx: Context, row: Row, columns: Row, values: Mapping[str, Any]) -> None:
        login = columns.get("name")
        changed = login is not None and fold(login) != fold(row["name"] or "")
        if changed and ctx.state["User"].alike("name", fold(login)):
            raise Refused("Unable to update login. A user already exists.")

    def after_update(self, ctx: Context, row: Row, values: Mapping[str, Any], old: Row) -> bool:
        if values.get("_reset_api_token"):
            ctx.sessions.renew_token(row["id"])
            ctx.state["User"].update(row, {"api_token_date": ctx.now, "date_mod": ctx.now})
        self._write_emails(ctx, row, values)
        return False

    def after_purge(self, ctx: Context, row: Row) -> None:
        for child in ("UserEmail", "Profile_User"):
            for belonging in ctx.state[child].where("users_id", row["id"]):
                ctx.state[child].delete(belonging)

    def _write_emails(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        given = values.get("_useremails")
        if isinstance(given, list):
            given = dict(enumerate(given))
        if not isinstance(given, dict):
            return
        default = values.get("_default_email")
        for key, address in given.items():
            is_default = int(default is not None and str(default) == str(key))
            self._write_email(ctx, row, int(key), str(address or "").strip(), is_default)

    def _write_email(self, ctx: Context, row: Row, key: int, address: str, is_default: int) -> None:
        existing = ctx.state.get("UserEmail", key)
        if key > 0 and existing is not None and existing["users_id"] == row["id"]:
            # A positive key is the id of an address: a new user's second may overwrite the first.
            if not address:
                ctx.state["UserEmail"].delete(existing)
            elif is_email(address):
                ctx.state["UserEmail"].update(existing, {"email": address, "is_default": is_default})
            return
        try:
            ctx.kind("UserEmail").add(
                ctx, {"users_id": row["id"], "email": address, **({"is_default": 1} if is_default else {})}
            )
        except Refused:
            # Invalid addresses are dropped in silence (`user-create-invalid-email`), by 10 repeated ones as well; of
            # these the database of 11 complains (src/User.php, updateUserEmails; `useremail-create-duplicate`).
            if ctx.state.flavour.is_11 and is_email(address):
                raise


class UserEmailKind(SilentKind):
    """Addresses: one default a user, none twice."""

    def before_add(self, ctx: Context, columns: Row, values: Mapping[str, Any]) -> None:
        address = columns.get("email") or ""
        if not is_email(address):
            raise Refused("")
        mine = ctx.state["UserEmail"].where("users_id", columns["users_id"])
        if any(fold(other["email"]) == fold(address) for other in mine):
            ctx.state["UserEmail"].use_up_id()
            raise duplicate(ctx.state.flavour, "UserEmail", f"{columns['users_id']}-{address}", columns)
        if not mine:
            columns["is_default"] = 1

    def after_add(self, ctx: Context, row: Row, values: Mapping[str, Any]) -> None:
        if not row["is_default"]:
            return
        for other in ctx.state["UserEmail"].where("users_id", row["users_id"]):
            if other is not row and other["is_default"]:
                ctx.state["UserEmail"].update(other, {"is_default": 0})


class ContactKind(ItemKind):
    """Supplier contacts: nothing is unique, nothing mandatory."""

    def name(self, ctx: Context, row: Row) -> str:
        return " ".join(part for part in (row.get("name"), row.get("firstname")) if part)
