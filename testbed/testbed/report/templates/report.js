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

  // Where there is no room for columns, a cell stands behind the name of its own.
  document.querySelectorAll("table").forEach((table) => {
    const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent);
    table.querySelectorAll("tbody tr").forEach((row) => {
      [...row.cells].forEach((cell, place) => { cell.dataset.column = names[place] ?? ""; });
    });
    table.classList.add("named");
  });

  // Plotly sizes itself by its container, so that must know the figure's height.
  target.style.height = `${figure.layout.height}px`;
  const options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  Plotly.newPlot(target, figure.data, figure.layout, options).then(() => {
    // Paper is narrower than a window, and the browser does not lay the figure out again for it.
    const size = (print) => (print ? { width: 700 } : { width: undefined, autosize: true });
    // On a phone the legend stands below, and names of lanes take less.
    const narrow = window.matchMedia("(max-width: 40rem)");
    const room = (print) => (narrow.matches && !print
      ? { "margin.l": 70, "margin.r": 10, showlegend: false, "font.size": 10 }
      : { "margin.l": figure.layout.margin.l, "margin.r": figure.layout.margin.r, showlegend: true, "font.size": 12 });
    const paint = (print) => Plotly.relayout(target, { ...colours(print), ...size(print), ...room(print) });
    paint(false);
    dark.addEventListener("change", () => paint(false));
    narrow.addEventListener("change", () => paint(false));
    window.addEventListener("beforeprint", () => {
      document.querySelectorAll("details").forEach((item) => { item.open = true; });
      paint(true);
    });
    window.addEventListener("afterprint", () => paint(false));
  });
})();
