"""Who asks: login, the account, logout (01-13, 145, 155).

A login takes away every earlier token of that user, so workers that each log in throw one another out (11).
"""

from __future__ import annotations

from crm_sync.sandbox.krayin import resources, rules
from crm_sync.sandbox.krayin.context import Context, Reply
from crm_sync.sandbox.krayin.errors import Invalid
from crm_sync.sandbox.krayin.sql import equals

_WRONG = "The provided credentials are incorrect."


def login(ctx: Context) -> Reply:
    """A new token for an address and a password; users who were switched off get one too (145b)."""
    sent = ctx.data
    rules.check(
        sent,
        {
            "email": [rules.required, rules.email],
            "password": [rules.required],
            "device_name": [rules.required],
        },
    )
    for user in ctx.state["users"].rows.values():
        if equals(user["email"], sent["email"]) and user["password"] == str(sent["password"]):
            return Reply(
                {
                    "data": resources.user(ctx.state, user),
                    "message": "Login successful.",
                    "token": ctx.state.issue_token(user["id"]),
                }
            )
    raise Invalid({"email": [_WRONG]})


def account(ctx: Context) -> Reply:
    """The user of the token: the way to try a token (12, 13)."""
    return Reply({"data": resources.user(ctx.state, ctx.user)})


def logout(ctx: Context) -> Reply:
    """Takes away every token of the user (155)."""
    ctx.state.revoke_tokens(ctx.user["id"])
    return Reply({"message": "Logout successful."})
