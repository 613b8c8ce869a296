"""``testbed init``: a first file of one's own service, and a first scenario."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from testbed_domain.files import write_atomic
from testbed_domain.use_cases import get_use_case
from testbed_otel.urls import is_http_url

from testbed.cli import completion
from testbed.cli.common import USE_CASE_HELP
from testbed.console import out, say
from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.features import FeatureSchema

ID = "init"
"""Of the requests that are sent."""


def init(
    url: Annotated[str, typer.Argument(metavar="URL", help="Where your service runs now.")],
    *,
    use_case: Annotated[
        str, typer.Option("--use-case", help=USE_CASE_HELP, autocompletion=completion.use_cases)
    ] = "diabetes",
    command: Annotated[
        str | None,
        typer.Option(help="What starts it, for runs to start it themselves; it gets PORT."),
    ] = None,
    rules: Annotated[Path | None, typer.Option(help="Folder of its alerting rules.")] = None,
    path: Annotated[str | None, typer.Option(help="Path of predictions, if you know it.")] = None,
    name: Annotated[str, typer.Option(help="What to call it.")] = "service",
    header: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME: VALUE",
            help="Header that it wants, as 'X-API-Key: ${SHOP_KEY}' in single quotes: the file "
            "then names the variable, not the key. May be repeated.",
        ),
    ] = None,
    folder: Annotated[Path, typer.Option("--out", help="Folder of the files.")] = Path(),
    asking: Annotated[
        bool, typer.Option("--ask/--no-ask", help="Ask it for three predictions, to see more.")
    ] = True,
) -> None:
    """Look at a running service; write service.yaml and scenario.yaml, every guess with a comment.

    Examples:

      testbed init http://127.0.0.1:5000

      testbed init http://127.0.0.1:5000 --command "python app.py" --rules ./rules --name shop

      testbed init http://127.0.0.1:5000 --header 'X-API-Key: ${SHOP_KEY}'
    """
    from testbed_load.headertemplates import FilledHeaders

    from testbed.initial.files import ServiceDraft, scenario_file
    from testbed.initial.guess import Guess, body_of, path_of
    from testbed.initial.look import ask, look
    from testbed.initial.readback import require_meant
    from testbed.stack.scrapekeys import scrapable

    files = {each: folder / f"{each}.yaml" for each in ("service", "scenario")}
    if there := [str(file) for file in files.values() if file.exists()]:
        raise UsageError(f"{', '.join(there)}: already there; choose another --out")
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name):
        raise UsageError(f"--name {name}: lower-case letters, digits, - and _ only")
    if not is_http_url(url):
        raise UsageError(f"{url!r} is not the URL of a service: give one as http://127.0.0.1:5000")
    schema = get_use_case(use_case).schema
    alerts = () if rules is None else _alerts(rules)
    headers = _headers(header or ())
    given = None if path is None else Guess(_path(path, schema), "as it was given")
    filled = FilledHeaders(headers, os.environ)
    sent = filled.of(ID)
    scraped, unscraped = scrapable(headers, os.environ)
    scraping = {each: sent[each] for each in scraped}
    looked = look(url, sent, scraping)
    route = given or path_of(looked)
    body = body_of(looked, route.value, schema)
    if asking:
        example, asked = _example(route.value, body.value, schema)
        say(f"init: asking POST {route.value} for predictions of an example row")
        looked = ask(looked, asked, example, sent, scraping, filled.hidden)
        if looked.refused:
            say(f"init: it refused: {looked.refused}")
    own_rules = None if rules is None else str(rules.resolve())
    draft = ServiceDraft(
        name=name,
        url=url,
        command=command,
        directory=_back_from(folder),
        rules=own_rules,
        path=route,
        body=body,
        headers=headers,
        scraped=scraped,
        unscraped=unscraped,
        looked=looked,
        use_case=use_case,
    )
    text = draft.text()
    require_meant(text, draft.meant())
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(files["service"], text)
    write_atomic(files["scenario"], scenario_file(name, use_case, alerts))
    for file in files.values():
        out.print(f"wrote     {file}", highlight=False)
    out.print(
        f"next      testbed run {files['scenario']} --service {files['service']}", highlight=False
    )


def _path(path: str, schema: FeatureSchema) -> str:
    from pydantic import TypeAdapter, ValidationError
    from testbed_load.errors import LoadError
    from testbed_load.pathtemplate import PathTemplate, PathText

    try:
        PathTemplate(TypeAdapter(PathText).validate_python(path), schema.names)
    except ValidationError as error:
        if not path.startswith("/"):
            raise UsageError(f"--path {path}: it begins with a slash: /{path}") from None
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"--path {path!r}: {reason}") from None
    except LoadError as error:
        raise UsageError(f"--path {path}: {error}") from None
    return path


def _example(path: str, body: object, schema: FeatureSchema) -> tuple[object, str]:
    """Body and path of a request for the example row."""
    from testbed_load.exchange import RequestTemplate, ServiceExchange, TemplateExchange

    row = {feature.name: feature.example for feature in schema.features}
    template = TemplateExchange(ServiceExchange(RequestTemplate(path=path, body=body)), schema, {})
    return template.filled(row, ID), template.path(row, ID)


def _headers(given: Sequence[str]) -> Mapping[str, str]:
    from pydantic import TypeAdapter, ValidationError
    from testbed_load.headertemplates import HeaderTemplates

    parts = [each.partition(":") for each in given]
    if not all(colon for _, colon, _ in parts):
        raise UsageError("--header: give each as 'NAME: VALUE', in quotes")
    found = {name.strip(): value.strip() for name, _, value in parts}
    if len(found) < len(parts):
        raise UsageError("--header: one header is given twice")
    try:
        headers: Mapping[str, str] = TypeAdapter(HeaderTemplates).validate_python(found)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageError(f"--header: {reason}") from None
    return headers


def _back_from(folder: Path) -> str | None:
    """Where the command is typed, as the file in its folder says it."""
    back = os.path.relpath(Path.cwd(), folder.resolve())
    return None if back == os.curdir else back


def _alerts(rules: Path) -> tuple[str, ...]:
    from testbed_rules.rulefiles import read_rules

    from testbed.facts.configured import groups_in

    groups = groups_in(read_rules(rules))
    return tuple(dict.fromkeys(r.name for g in groups for r in g.rules if r.kind == "alerting"))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(init)
