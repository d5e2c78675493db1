"use strict";
(() => {
  const told = JSON.parse(document.getElementById("drawings").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const inks = () => [colour("--gain"), colour("--loss"), colour("--closed"), colour("--hold"), colour("--muted")];
  const dashes = ["solid", "solid", "solid", "solid", "solid", "dot", "dot", "dot"];
  const styled = (trace, place) => {
    if (trace.hoverinfo) return { ...trace, type: "scatter", showlegend: false, line: { color: colour("--rule"), width: 1.5, dash: "dash" } };
    const ink = inks()[place % 5];
    return {
      ...trace, type: "scatter", showlegend: trace.mode === "lines", line: { color: ink, width: place ? 1.3 : 2.4, dash: dashes[place] },
      marker: { size: 9, opacity: 0.75, color: colour("--gain"), line: { color: colour("--card"), width: 1 } },
      hovertemplate: trace.text ? "%{text}<br>%{x:.2f} → %{y:.2f}<extra></extra>" : "%{x|%Y-%m-%d}<br>%{y:.2f} %<extra>%{fullData.name}</extra>",
    };
  };
  const axis = (title) => ({
    title: { text: title, font: { size: 12, color: colour("--muted") } }, gridcolor: colour("--grid"), linecolor: colour("--rule"),
    zerolinecolor: colour("--rule"), tickfont: { color: colour("--muted") }, automargin: true,
  });
  const draw = () => document.querySelectorAll("[data-drawing]").forEach((place) => {
    const drawing = told[Number(place.dataset.drawing)];
    const font = { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink") };
    place.querySelectorAll("noscript").forEach((one) => one.remove());
    Plotly.react(place, drawing.traces.map(styled), {
      height: 380, margin: { l: 12, r: 12, t: 8, b: 12 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font,
      hovermode: "closest", hoverlabel: { align: "left", bgcolor: colour("--card"), bordercolor: colour("--muted"), font },
      legend: { orientation: "h", x: 0, y: -0.12, yanchor: "top", font: { color: colour("--muted") } },
      xaxis: { ...axis(drawing.x_title), type: drawing.is_time ? "date" : "linear" }, yaxis: axis(drawing.y_title),
    }, { displaylogo: false, responsive: true, displayModeBar: false });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
