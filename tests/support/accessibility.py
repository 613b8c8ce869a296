"""What people without a mouse, or without sight, find in a page: by the browser's own account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.browser import Tab

OPERATED: Final = frozenset(
    {"button", "checkbox", "combobox", "DisclosureTriangle", "link", "listbox", "searchbox"}
    | {"spinbutton", "textbox"}
)
"""Roles of what can be operated."""

# What Tab reaches, in the order of the document; within closed details nothing is reached.
_STOPS: Final = """
[...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex="0"]')]
  .filter((e) => e.checkVisibility() && !e.disabled)
"""
_HERE: Final = f"""
(() => {{
  const e = document.activeElement, style = getComputedStyle(e);
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
  const box = e.getBoundingClientRect();
  const within = box.width > 0 && box.bottom > 0 && box.right > 0
    && box.top < innerHeight && box.left < innerWidth;
  return [{_STOPS}.indexOf(e), seen, within, e.outerHTML.slice(0, 120)];
}})()
"""
_FROM_THE_TOP: Final = """
(() => {
  const body = document.body;
  body.tabIndex = -1; body.focus(); body.removeAttribute('tabindex'); scrollTo(0, 0);
})()
"""
_STRUCTURE: Final = """
(() => {
  const wrong = [], all = (what) => [...document.querySelectorAll(what)];
  const shown = (e) => e.outerHTML.slice(0, 120);
  if (!document.documentElement.lang) wrong.push('the page names no language');
  if (!document.title.trim()) wrong.push('the page has no title');
  const levels = all('h1, h2, h3, h4, h5, h6').map((e) => Number(e.tagName[1]));
  if (levels.filter((each) => each === 1).length !== 1) wrong.push('not one h1: ' + levels);
  const skips = levels.some((each, i) => each > (levels[i - 1] || 0) + 1);
  if (skips) wrong.push('headings skip: ' + levels);
  for (const e of all('th')) if (!e.scope) wrong.push('a header without scope: ' + shown(e));
  for (const e of all('table')) if (!e.querySelector('th')) wrong.push('no header: ' + shown(e));
  for (const e of all('svg')) {
    const named = e.getAttribute('role') === 'img' && e.getAttribute('aria-label');
    if (!named && e.getAttribute('aria-hidden') !== 'true') wrong.push('no text: ' + shown(e));
  }
  for (const e of all('img')) if (!e.hasAttribute('alt')) wrong.push('no text: ' + shown(e));
  const ids = all('[id]').map((e) => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push('twice: #' + id);
  if (!document.querySelector('main')) wrong.push('no main part');
  return wrong;
})()
"""
# Of text: the ratio that WCAG 2 asks for, 4.5, and 3 of what is large.
_CONTRAST: Final = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const ground = (e) => {
    if (!e) return [255, 255, 255];
    const own = rgba(getComputedStyle(e).backgroundColor);
    return own[3] === 1 ? own.slice(0, 3) : over(own, ground(e.parentElement));
  };
  const light = (rgb) => {
    const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.map((c) => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const opacity = (e) => e ? Number(getComputedStyle(e).opacity) * opacity(e.parentElement) : 1;
  const found = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !e.checkVisibility()) continue;
    if (e.closest('script, style, option')) continue;
    const style = getComputedStyle(e), behind = ground(e), colour = rgba(style.color);
    colour[3] *= opacity(e);
    const [a, b] = [light(over(colour, behind)), light(behind)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize), bold = Number(style.fontWeight) >= 700;
    const large = size >= 24 || (size >= 18.66 && bold);
    if (ratio < (large ? 3 : 4.5)) found.add(`${ratio.toFixed(2)}: ${e.outerHTML.slice(0, 120)}`);
  }
  return [...found];
})()
"""


_LISTEN: Final = """
addEventListener("DOMContentLoaded", () => {
  const live = '[role=status], [role=alert], [role=log], [aria-live]';
  const last = new Map();
  for (const each of document.querySelectorAll(live)) last.set(each, each.innerText);
  window.announced = [];
  new MutationObserver((changes) => {
    const regions = new Set();
    for (const change of changes) {
      const around = change.target.parentElement?.closest(live) || change.target.closest?.(live);
      if (around) regions.add(around);
      for (const node of change.addedNodes)
        for (const each of node.querySelectorAll?.(live) || []) regions.add(each);
    }
    for (const each of regions) {
      if (!each.isConnected) continue;
      announced.push({ text: each.innerText, again: last.get(each) === each.innerText });
      last.set(each, each.innerText);
    }
  }).observe(document.body, { childList: true, characterData: true, subtree: true });
});
"""


def listen(tab: Tab) -> None:
    """In each page opened from now on, remember what a screen reader would read out unasked."""
    tab.call("Page.enable")
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=_LISTEN)


def announced(tab: Tab) -> list[str]:
    """What it would have read out since the page was parsed."""
    return [each["text"] for each in tab.ask("window.announced")]


def announced_again(tab: Tab) -> list[str]:
    """What it would have read out though it says what it said before."""
    return [each["text"] for each in tab.ask("window.announced") if each["again"]]


def press(tab: Tab, key: str, text: str = "") -> None:
    """Press a key and let it go.

    Args:
        tab: of the browser.
        key: its name, as ``Tab``, ``Enter``, or a space.
        text: what it writes.
    """
    code = {" ": "Space"}.get(key, key)
    number = {"Tab": 9, "Enter": 13, " ": 32}[key]
    options: dict[str, Any] = {"key": key, "code": code, "windowsVirtualKeyCode": number}
    tab.call(
        "Input.dispatchKeyEvent", type="keyDown", **options, **({"text": text} if text else {})
    )
    tab.call("Input.dispatchKeyEvent", type="keyUp", **options)


def structure_problems(tab: Tab) -> list[str]:
    """What a screen reader stumbles over: language, headings, tables, pictures; names and roles."""
    found: list[str] = list(tab.ask(_STRUCTURE))
    for node in tab.call("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value", "")
        properties = {
            each["name"]: each["value"].get("value") for each in node.get("properties", [])
        }
        reached = role in OPERATED or properties.get("focusable")
        # What a link within the page leads to needs no name.
        place = role in {"RootWebArea", "none", "main"}
        if node.get("ignored") or place or not reached:
            continue
        if not str(node.get("name", {}).get("value", "")).strip():
            found.append(f"a {role} without a name: {properties}")
        if role in {"", "generic"}:
            found.append(f"reached, but without a role: {node.get('name')}")
    return found


def contrast_problems(tab: Tab) -> list[str]:
    """Texts that stand out too little, in light and in dark colours."""
    found: list[str] = []
    for dark in (False, True):
        tab.look(1280, dark=dark)
        found += [f"{'dark' if dark else 'light'} {each}" for each in tab.ask(_CONTRAST)]
    return found


def keyboard_problems(tab: Tab) -> list[str]:
    """What Tab alone does not reach in the order of the document, or where it can't be seen."""
    tab.ask(_FROM_THE_TOP)
    expected = int(tab.ask(f"{_STOPS}.length"))
    found: list[str] = []
    for place in range(expected):
        press(tab, "Tab")
        at, seen, within, what = tab.ask(_HERE)
        if at != place:
            found.append(f"{place} of {expected} in order, but Tab reaches {at}: {what}")
            break
        if not seen:
            found.append(f"no focus is seen: {what}")
        if not within:
            found.append(f"reached outside of the window: {what}")
    return found
