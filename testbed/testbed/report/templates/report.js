"use strict";
(() => {
  const target = document.getElementById("figure");
  const figure = JSON.parse(document.getElementById("figure-data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const axes = Object.keys(figure.layout).filter((key) => /^[xy]axis\d*$/.test(key));

  // Text and grid follow the page, which follows the reader's choice of light or dark.
  const colours = (print) => {
    const style = getComputedStyle(document.documentElement);
    const text = print ? "#1c2127" : style.getPropertyValue("--text").trim();
    const line = print ? "#d8dce2" : style.getPropertyValue("--line").trim();
    const ground = print ? "#ffffff" : style.getPropertyValue("--panel").trim();
    const change = { "font.color": text, "hoverlabel.bgcolor": ground, "hoverlabel.font.color": text };
    for (const axis of axes) {
      change[`${axis}.gridcolor`] = line;
      change[`${axis}.linecolor`] = line;
      change[`${axis}.tickcolor`] = line;
    }
    return change;
  };

  // Plotly sizes itself by its container, so that must know the figure's height.
  target.style.height = `${figure.layout.height}px`;
  const options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  Plotly.newPlot(target, figure.data, figure.layout, options).then(() => {
    // Paper is narrower than a window, and the browser does not lay the figure out again for it.
    const size = (print) => (print ? { width: 700 } : { width: undefined, autosize: true });
    const paint = (print) => Plotly.relayout(target, { ...colours(print), ...size(print) });
    paint(false);
    dark.addEventListener("change", () => paint(false));
    window.addEventListener("beforeprint", () => {
      document.querySelectorAll("details").forEach((item) => { item.open = true; });
      paint(true);
    });
    window.addEventListener("afterprint", () => paint(false));
  });
})();
