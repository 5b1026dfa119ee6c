"""What the API says when it refuses, word for word as recorded (contracts: error_*, *_404, *_422*)."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify


class Problem(Exception):
    """A refusal: a status and a JSON body."""

    def __init__(self, status: int, **body: Any) -> None:
        super().__init__(body)
        self.status = status
        self.body = body


def unauthorized(words: str = "Invalid Access Token") -> Problem:
    """A token that is wrong, or not enough."""
    return Problem(401, error=words)


def invalid(words: str, *attributes: str) -> Problem:
    """A record that fails its validations."""
    return Problem(422, message=words, attributes=list(attributes))


def install(app: Flask) -> None:
    """Answer problems and missing rows as Chatwoot does."""

    def refuse(problem: Problem) -> tuple[Response, int]:
        return jsonify(problem.body), problem.status

    def missing(_: KeyError) -> tuple[Response, int]:
        return jsonify(error="Resource could not be found"), 404

    app.register_error_handler(Problem, refuse)
    app.register_error_handler(KeyError, missing)
