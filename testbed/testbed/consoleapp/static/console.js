"use strict";
// The token of a link goes into this tab only: no server and no other tab sees it.
const KEPT = "console-token";
const take = () => {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  sessionStorage.setItem(KEPT, given);
  history.replaceState(null, "", location.pathname + location.search);
  for (const field of document.querySelectorAll("form[data-token] input[name=token]")) field.value = given;
};
take();
addEventListener("hashchange", take); // the link, opened where the console is open already
for (const form of document.querySelectorAll("form[data-token]")) {
  const field = form.querySelector("input[name=token]");
  if (!field) continue;
  field.value = sessionStorage.getItem(KEPT) || "";
  form.addEventListener("submit", () => sessionStorage.setItem(KEPT, field.value));
}

const live = document.querySelector("[data-events]");
if (live) {
  const shown = new Map();
  const REACHED = "a, button, summary, input, select, textarea, [tabindex]";
  const all = (part, what) => [...part.querySelectorAll(what)];

  // As the browser writes it, so that what is pushed can be compared with what the page came with:
  // replaced by its like, the summary would be read out though nothing of it changed.
  const written = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.innerHTML;
  };
  for (const part of document.querySelectorAll("[id^=part-]")) shown.set(part.id, part.innerHTML);

  // What a person has opened, reached or scrolled to stays as it is.
  const replace = (part, html) => {
    const focus = all(part, REACHED).indexOf(document.activeElement);
    const open = all(part, "details").map((item) => item.open);
    const left = all(part, ".scroll").map((item) => item.scrollLeft);
    part.innerHTML = html;
    all(part, "details").forEach((item, place) => { item.open = open[place] || false; });
    all(part, ".scroll").forEach((item, place) => { item.scrollLeft = left[place] || 0; });
    if (focus >= 0) all(part, REACHED)[focus]?.focus({ preventScroll: true });
  };

  const source = new EventSource(live.dataset.events);
  const connection = document.getElementById("connection");
  let lost;
  source.addEventListener("open", () => { clearTimeout(lost); lost = undefined; connection.hidden = true; });
  // A stream ends after some seconds and the next one begins: only a longer silence is a loss.
  source.addEventListener("error", () => { lost ??= setTimeout(() => { connection.hidden = false; }, 8000); });
  source.addEventListener("part", (message) => {
    const { id, html } = JSON.parse(message.data);
    const part = document.getElementById(`part-${id}`);
    const pushed = written(html);
    if (part && shown.get(part.id) !== pushed) {
      shown.set(part.id, pushed);
      replace(part, html);
    }
  });
}
