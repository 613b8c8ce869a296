"""What stands before the pages of Locust's web UI."""

from __future__ import annotations

import pytest
from flask import Flask, request
from testbed_load.webguard import MAX_BODY, install


@pytest.mark.parametrize(
    "body",
    [b"a=" + b"x" * MAX_BODY, b"&".join(b"a%d=1" % number for number in range(20_000))],
    ids=["one field", "many fields"],
)
def test_form_that_is_too_long_is_not_read(body: bytes) -> None:
    """Locust would read a form of any length into memory."""
    app = Flask(__name__)
    install(app, ())
    read = []

    @app.post("/swarm")
    def swarm() -> str:
        read.append(dict(request.form))
        return "started"

    client = app.test_client()
    form = "application/x-www-form-urlencoded"
    long = client.post("/swarm", data=body, content_type=form)
    assert (long.status_code, long.mimetype) == (413, "text/plain")
    assert client.post("/swarm", data=b"a=1", content_type=form).text == "started"
    assert read == [{"a": "1"}]
