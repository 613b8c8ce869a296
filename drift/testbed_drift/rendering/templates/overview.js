// Plotly measures a figure when it is drawn: one that was folded then has no width.
for (const folded of document.querySelectorAll("details.library")) {
  folded.addEventListener("toggle", () => window.dispatchEvent(new Event("resize")));
}
