"""The receiver's page: the last notifications, and the last messages of integrations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from jinja2 import Environment
from testbed_domain.direction import readable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from testbed_receiver.messages import Message
    from testbed_receiver.record import Notification

_TEMPLATE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<title>Alert notifications</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem }
  table { border-collapse: collapse; width: 100% }
  th, td { border-bottom: 1px solid #ddd; padding: .4rem .6rem; text-align: left }
  td { vertical-align: top } .text { white-space: pre-line }
  .firing { color: #b00020 } .resolved { color: #1b7f3b }
</style>
<h1>Alert notifications</h1>
{% if rows %}
<table>
  <tr><th>Received (UTC)</th><th>Status</th><th>Receiver</th><th>Alert</th><th>Severity</th>
  <th>What</th></tr>
  {% for each in rows %}
  <tr>
    <td>{{ each.received_at | moment }}</td><td class="{{ each.status }}">{{ each.status }}</td>
    <td>{{ each.receiver }}</td><td>{{ each.alertname }}</td><td>{{ each.labels.severity }}</td>
    <td>{{ each.annotations.summary }}<br><small>{{ each.annotations.description }}</small></td>
  </tr>
  {% endfor %}
</table>
{% else %}
<p>None so far. Alertmanager posts to <code>/notifications</code>; this page reloads itself.</p>
{% endif %}
{% if messages %}
<h2>Messages of integrations</h2>
<table>
  <tr><th>Received (UTC)</th><th>Status</th><th>Receiver</th><th>Integration</th><th>Text</th></tr>
  {% for each in messages %}
  <tr>
    <td>{{ each.received_at | moment }}</td><td class="{{ each.status }}">{{ each.status }}</td>
    <td>{{ each.receiver }}</td><td>{{ each.integration }}</td>
    <td class="text">{{ each.text[:2000] }}</td>
  </tr>
  {% endfor %}
</table>
{% endif %}
</html>
"""


def _moment(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


_ENVIRONMENT: Final = Environment(autoescape=True, finalize=readable)
_ENVIRONMENT.filters["moment"] = _moment
_PAGE: Final = _ENVIRONMENT.from_string(_TEMPLATE)


def render_page(rows: Iterable[Notification], messages: Iterable[Message]) -> str:
    """The page as HTML.

    Args:
        rows: notifications, the latest first.
        messages: of integrations, the latest first.
    """
    return _PAGE.render(rows=list(rows), messages=list(messages))
