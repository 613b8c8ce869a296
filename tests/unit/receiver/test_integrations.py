"""Each integration: what of its configuration is replaced, and what its requests say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import pytest
from testbed_receiver.integrations import INTEGRATIONS, IntegrationRequest
from testbed_receiver.messages import Place, message, trace_of
from testbed_receiver.record import PayloadError

if TYPE_CHECKING:
    from testbed_receiver.messages import Message

SECRET: Final = "s3cr3t"  # noqa: S105 - must be found nowhere
URL: Final = "http://127.0.0.1:9080/receivers/pager/x/0"
GROUP: Final = "a" * 64
TEXT: Final = "HighErrorRate: it answers with errors."

ALERTS: Final = {
    "version": "4",
    "groupKey": "{}:{}",
    "status": "firing",
    "receiver": "pager",
    "alerts": [{"labels": {"alertname": "HighErrorRate"}, "annotations": {"summary": TEXT}}],
}
CARD: Final = {
    "type": "message",
    "attachments": [
        {"content": {"type": "AdaptiveCard", "body": [{"text": TEXT, "size": "Medium"}]}}
    ],
}
MAIL: Final = (
    b"Subject: =?utf-8?q?[FIRING]_HighErrorRate?=\r\nTo: oncall@example.com\r\n"
    b"References: <alert-aaaaaaaaaaaaaaaa-@alertmanager>\r\n"
    b'Content-Type: multipart/alternative; boundary="b"\r\nMIME-Version: 1.0\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=UTF-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"HighErrorRate: it answers=20with errors.\r\n--b--\r\n"
)


@dataclass(frozen=True)
class Spoken:
    """An integration: as users configure it, and a request as Alertmanager 0.31 sends it."""

    kind: str
    config: dict[str, Any]
    address: dict[str, Any]
    body: Any
    path: str = ""
    method: str = "POST"
    status: str = ""
    group: str = ""
    without: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    """Paths of requests that bring no text."""
    answer: str = "{}"
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        """The body as it is sent."""
        if isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body).encode()

    def arrived(self, path: str | None = None) -> tuple[Message | None, str]:
        """What is recorded of the request, and what is answered."""
        sent = IntegrationRequest(self.method, self.path if path is None else path, self.data)
        found, reply = message(Place("pager", self.kind, 0), sent, 5.0, "t")
        return found, reply.body


CASES: Final = (
    Spoken("webhook", {"url": f"https://{SECRET}/x"}, {"url": URL}, ALERTS, status="firing"),
    Spoken("incidentio", {"url": f"https://{SECRET}", "alert_source_token": SECRET},
           {"url": URL, "alert_source_token": "testbed"}, ALERTS, status="firing"),
    Spoken("slack", {"api_url_file": f"/{SECRET}", "channel": "#ml", "app_token": SECRET},
           {"api_url": URL}, {"channel": "#ml", "attachments": [{"text": TEXT, "color": "danger"}]},
           without=("danger",), answer="ok"),
    Spoken("pagerduty", {"routing_key": SECRET, "description": "x"},
           {"url": URL, "routing_key": "testbed"},
           {"routing_key": "testbed", "dedup_key": GROUP, "event_action": "trigger",
            "payload": {"summary": TEXT, "custom_details": {"num_firing": 1}}},
           status="firing", group=GROUP, without=("testbed", "trigger"), answer="success"),
    Spoken("opsgenie", {"api_key": SECRET, "api_url": f"https://{SECRET}"},
           {"api_key": "testbed", "api_url": f"{URL}/"}, {"alias": GROUP, "message": TEXT},
           path="v2/alerts", status="firing", group=GROUP,
           asks=(f"v2/alerts/{GROUP}/message", f"v2/alerts/{GROUP}/description"),
           answer="processed"),
    Spoken("msteams", {"webhook_url": f"https://{SECRET}"}, {"webhook_url": URL},
           {"@type": "MessageCard", "title": TEXT, "themeColor": "8C1A1A"},
           without=("MessageCard", "8C1A1A"), answer="1"),
    Spoken("msteamsv2", {"webhook_url_file": SECRET}, {"webhook_url": URL}, CARD,
           without=("AdaptiveCard", "Medium"), answer=""),
    Spoken("discord", {"webhook_url": f"https://{SECRET}"}, {"webhook_url": URL},
           {"content": "", "embeds": [{"title": TEXT, "color": 10038562}]}, without=("10038562",)),
    Spoken("mattermost", {"webhook_url": f"https://{SECRET}"}, {"webhook_url": URL},
           {"text": TEXT}, answer="ok"),
    Spoken("telegram", {"bot_token": SECRET, "chat_id": -7},
           {"bot_token": "testbed", "api_url": URL, "chat_id": -7},
           {"chat_id": "-7", "text": TEXT, "parse_mode": "HTML"}, path="bottestbed/sendMessage",
           without=("-7",), answer='"ok": true'),
    Spoken("victorops", {"api_key": SECRET, "routing_key": "ml"},
           {"api_key": "testbed", "api_url": f"{URL}/"},
           {"message_type": "RECOVERY", "entity_id": GROUP, "state_message": TEXT},
           path="testbed/ml", status="resolved", group=GROUP, answer="success"),
    Spoken("webex", {"room_id": "r", "http_config": {"authorization": {"credentials": SECRET}}},
           {"api_url": URL, "http_config": {"authorization": {"credentials": "testbed"}}},
           {"markdown": TEXT, "roomId": "room-7"}, without=("room-7",)),
    Spoken("sns", {"topic_arn": "arn", "sigv4": {"region": "eu-west-1", "secret_key": SECRET,
                                                 "role_arn": SECRET}},
           {"api_url": URL, "sigv4": {"region": "eu-west-1", "access_key": "testbed",
                                      "secret_key": "testbed"}},
           urlencode({"Action": "Publish", "Subject": "S", "Message": TEXT}).encode(),
           without=("Publish",), answer="PublishResponse"),
    Spoken("wechat", {"api_secret": SECRET, "corp_id": SECRET},
           {"api_secret": "testbed", "corp_id": "testbed", "api_url": f"{URL}/"},
           {"touser": "u7", "text": {"content": TEXT}}, path="message/send", asks=("gettoken",),
           without=("u7",), answer='"errcode": 0'),
    Spoken("rocketchat", {"token": SECRET, "token_id_file": SECRET},
           {"api_url": URL, "token": "testbed", "token_id": "testbed"},
           {"attachments": [{"text": TEXT, "color": "red"}]}, path="api/v1/chat.postMessage",
           without=("red",), answer='"success": true'),
    Spoken("jira", {"project": "ML", "issue_type": "Bug"}, {"api_url": f"{URL}/3"},
           {"fields": {"summary": TEXT, "labels": [f"ALERT{{{GROUP}}}"]}}, path="3/issue",
           status="firing", group=GROUP, asks=("3/search", "search/jql"), answer="TESTBED-1",
           shared={"jira_api_url": f"https://{SECRET}/rest/api/3/"}),
    Spoken("email", {"to": "oncall@example.com", "smarthost": f"{SECRET}:587",
                     "auth_password": SECRET, "auth_username": SECRET, "tls_config": {"x": SECRET}},
           {"smarthost": "http:", "require_tls": False, "force_implicit_tls": False},
           MAIL, method="SMTP", group="a" * 16),
)  # fmt: skip


def test_every_integration_but_those_with_a_fixed_address_is_among_the_cases() -> None:
    """A new module brings its case."""
    assert {each.kind for each in CASES} == set(INTEGRATIONS) - {"pushover"}


@pytest.mark.parametrize("case", CASES, ids=[case.kind for case in CASES])
def test_a_redirected_integration_has_the_local_address_and_no_secret(case: Spoken) -> None:
    """What renders stays; where and as whom it sends is replaced."""
    kind = INTEGRATIONS[case.kind]()
    assert not kind.problem(case.config)
    found = kind.redirected(
        case.config | {"send_resolved": True, "http_config": {"proxy_url": SECRET}}
        if case.kind != "webex" else case.config | {"send_resolved": True},
        case.shared, URL,
    )  # fmt: skip
    assert case.address.items() <= found.items()
    assert found["send_resolved"] is True
    assert SECRET not in json.dumps(found)


@pytest.mark.parametrize("case", CASES, ids=[case.kind for case in CASES])
def test_a_request_becomes_a_message_with_its_text_and_what_it_says_of_itself(
    case: Spoken,
) -> None:
    """Who got it stands in the address; keys of the protocol are no text."""
    found, answer = case.arrived()
    assert found is not None
    assert TEXT in found.text
    assert not [text for text in case.without if text in found.text]
    assert (found.receiver, found.integration, found.index) == ("pager", case.kind, 0)
    assert (found.status, found.trace, found.received_at) == (case.status, "t", 5.0)
    assert not case.group or found.group == case.group
    assert case.answer in answer


@pytest.mark.parametrize("case", [c for c in CASES if c.asks], ids=lambda case: str(case.kind))
def test_a_request_that_only_asks_is_answered_and_not_recorded(case: Spoken) -> None:
    """A token, a search, and an update that repeats a text are no notifications."""
    for path in case.asks:
        found, answer = case.arrived(path)
        assert found is None
        assert answer


def test_a_closed_alert_of_opsgenie_is_resolved() -> None:
    """By the path alone."""
    (case,) = (case for case in CASES if case.kind == "opsgenie")
    found, _ = case.arrived(f"v2/alerts/{GROUP}/close")
    assert found is not None
    assert (found.status, found.group) == ("resolved", GROUP)


@pytest.mark.parametrize(
    ("kind", "config"), [("pushover", {}), ("pagerduty", {"service_key": SECRET})]
)
def test_what_has_its_address_built_in_says_so(kind: str, config: dict[str, Any]) -> None:
    """It is named, and its secret is not."""
    problem = INTEGRATIONS[kind]().problem(config)
    assert "built in" in problem
    assert SECRET not in problem


@pytest.mark.parametrize("case", [c for c in CASES if c.kind != "email"], ids=lambda c: str(c.kind))
def test_what_is_not_a_request_of_the_integration_is_refused(case: Spoken) -> None:
    """In one sentence."""
    sent = IntegrationRequest("POST", case.path, b"[nonsense")
    with pytest.raises(PayloadError, match=f"not a request of {case.kind}"):
        message(Place("pager", case.kind, 0), sent, 5.0)


def test_threads_of_mails_stay_where_their_user_has_them() -> None:
    """Else they are added, since nothing else of a mail says which group it is of."""
    email = INTEGRATIONS["email"]()
    assert email.redirected({}, {}, URL)["threading"]["enabled"]
    daily = {"threading": {"enabled": True, "thread_by_date": "daily"}}
    assert email.redirected(daily, {}, URL)["threading"] == daily["threading"]
    assert "threading" not in email.redirected({"headers": {"REFERENCES": "<x>"}}, {}, URL)


@pytest.mark.parametrize("name", ["pager", "team a/b", "Bereitschaft ☎", "~41", "a%2Fb"])
def test_any_name_of_a_receiver_stands_in_a_path_and_in_a_hello(name: str) -> None:
    """Without a slash or a blank, and back."""
    place = Place(name, "slack", 12)
    assert " " not in str(place)
    assert Place.parse(f"{place}/v2/alerts/") == (place, "v2/alerts")


@pytest.mark.parametrize("path", ["", "pager", "pager/nothing/0", "pager/slack/x"])
def test_a_path_of_no_integration_is_refused(path: str) -> None:
    """Whatever it is."""
    with pytest.raises(PayloadError, match="not the address of an integration"):
        Place.parse(path)


def test_the_trace_of_a_header_is_read() -> None:
    """As W3C has it; else none."""
    assert trace_of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01") == (
        "0af7651916cd43dd8448eb211c80319c"
    )
    assert trace_of("") == trace_of("nonsense") == ""
