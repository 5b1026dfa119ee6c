"""The files of messages, as ActiveStorage gives them out: a signed address redirects to where the bytes are."""

from __future__ import annotations

from flask import Blueprint, Response, redirect
from flask.typing import ResponseReturnValue

from crm_sync.sandbox.chatwoot.sandbox import ChatwootSandbox


def blueprint(sandbox: ChatwootSandbox) -> Blueprint:
    """The endpoints of one sandbox; they need no token."""
    storage = Blueprint("storage", __name__, url_prefix="/rails/active_storage")

    @storage.get("/blobs/redirect/sandbox--<int:number>/<path:name>")
    def blob(number: int, name: str) -> ResponseReturnValue:
        if number not in sandbox.state.files:
            return Response(status=404)
        return redirect(f"/rails/active_storage/disk/sandbox--{number}/{name}", 302)

    @storage.get("/disk/sandbox--<int:number>/<path:name>")
    def disk(number: int, name: str) -> ResponseReturnValue:
        if number not in sandbox.state.files:
            return Response(status=404)
        content, mime = sandbox.state.files[number]
        return Response(content, headers={"Content-Disposition": f"inline; filename={name}"}, mimetype=mime)

    return storage
