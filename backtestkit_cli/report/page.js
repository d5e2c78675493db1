"use strict";
(() => {
  const pictures = document.getElementById("pictures");
  const told = pictures && JSON.parse(pictures.textContent);
  const phone = matchMedia("(max-width: 760px)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const faded = (name, share) => `rgba(${colour(name)}, ${share})`;
  // hover texts of plotly know some markup: no text of a user is to be taken for it
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const time = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");
  const signed = (value) => (value > 0 ? "+" : "") + value.toFixed(2);
  const price = (value) => {
    if (!value || Math.abs(value) >= 1e15) return value.toPrecision(6);
    return value.toFixed(Math.min(100, Math.max(2, 7 - Math.floor(Math.log10(Math.abs(value))))));
  };
  const folded = (text) => (text.length > 160 ? text.slice(0, 160) + "…" : text).replace(/(.{1,60})(\s|$)/g, "$1\n").trim();

  // Trades of one result as lines, marks and levels; null lifts the pen between two trades.
  const tradeTraces = (trades, isWin) => {
    const name = isWin ? "Won" : "Lost";
    const ink = colour(isWin ? "--gain" : "--loss");
    const pen = { x: [], y: [] }, entry = { x: [], y: [], text: [], sign: [] }, exit = { x: [], y: [], text: [] };
    trades.opened.forEach((opened, row) => {
      if (trades.pnl_percent[row] > 0 !== isWin) return;
      const closed = trades.closed[row], isLong = trades.position[row] === "long";
      const note = trades.note && trades.note[row] ? "<br><i>" + folded(plain(trades.note[row])).replace(/\n/g, "<br>") + "</i>" : "";
      const text = `<b>${plain(trades.position[row])} ${signed(trades.pnl_percent[row])} %</b> · ${plain(trades.reason[row])}<br>` +
        `in ${time(opened)} at ${price(trades.price_open[row])}<br>out ${time(closed)} at ${price(trades.price_close[row])}<br>` +
        `take profit ${price(trades.price_take_profit[row])}, stop ${price(trades.price_stop_loss[row])}${note}`;
      pen.x.push(opened, closed, null);
      pen.y.push(trades.price_open[row], trades.price_close[row], null);
      entry.x.push(opened); entry.y.push(trades.price_open[row]); entry.text.push(text);
      entry.sign.push(isLong ? "triangle-up" : "triangle-down");
      exit.x.push(closed); exit.y.push(trades.price_close[row]); exit.text.push(text);
    });
    if (!entry.x.length) return [];
    const shared = { type: "scatter", yaxis: "y", legendgroup: name };
    const marks = { ...shared, mode: "markers", hoverinfo: "text" };
    return [
      { ...shared, ...pen, name, mode: "lines", hoverinfo: "skip", line: { color: ink, width: 1.6 } },
      { ...marks, part: "entry", x: entry.x, y: entry.y, text: entry.text, name: name + " in", showlegend: false,
        marker: { symbol: entry.sign, size: 9, color: ink, line: { color: colour("--card"), width: 1 } } },
      { ...marks, part: "exit", x: exit.x, y: exit.y, text: exit.text, name: name + " out", showlegend: false,
        marker: { symbol: "circle", size: 6, color: colour("--card"), line: { color: ink, width: 1.6 } } },
    ];
  };

  const levelTrace = (trades) => {
    const pen = { x: [], y: [] };
    trades.opened.forEach((opened, row) => {
      for (const level of [trades.price_take_profit[row], trades.price_stop_loss[row]]) {
        pen.x.push(opened, trades.closed[row], null);
        pen.y.push(level, level, null);
      }
    });
    return { ...pen, part: "levels", type: "scatter", mode: "lines", yaxis: "y", name: "Take profit, stop", hoverinfo: "skip", connectgaps: false,
      opacity: 0.75, line: { color: colour("--muted"), width: 1, dash: "dot" } };
  };

  const candleTrace = (candles) => ({
    type: "candlestick", yaxis: "y", name: `Candles ${candles.interval}`,
    x: candles.time.map((open) => open + candles.interval_ms / 2),
    open: candles.open, high: candles.high, low: candles.low, close: candles.close,
    increasing: { line: { color: colour("--candle-up"), width: 1 }, fillcolor: colour("--card") },
    decreasing: { line: { color: colour("--candle-down"), width: 1 }, fillcolor: colour("--candle-down") },
    hoverinfo: "text",
    text: candles.time.map((open, row) => `${time(open)} · ${candles.interval}<br>open ${price(candles.open[row])}, ` +
      `high ${price(candles.high[row])}<br>low ${price(candles.low[row])}, close ${price(candles.close[row])}`),
  });

  const curveTraces = (chapter) => {
    const line = (curve, values, name, ink, extra) => ({
      type: "scatter", mode: "lines", x: curve.time, y: values, name, legendgroup: name,
      line: { color: ink, width: 1.6, ...extra.line }, hoverinfo: "text",
      text: curve.time.map((at, row) => values[row] === null ? "" : `${time(at)}<br>${name} ${values[row].toFixed(2)}`), ...extra.trace,
    });
    const closed = chapter.closed, daily = chapter.daily, traces = [];
    const steps = { line: { shape: "hv", width: 1.2 } };
    if (daily) {
      traces.push(line(daily, daily.hold, "Buy and hold", colour("--hold"), { line: { dash: "dash", width: 1.3 }, trace: { yaxis: "y2" } }));
    }
    const main = daily ? colour("--closed") : colour("--gain");
    traces.push(line(closed, closed.value, "Closed trades", main, { ...steps, trace: { yaxis: "y2" } }));
    traces.push(line(closed, closed.drawdown, "Closed trades", main, { ...steps, trace: { yaxis: "y3", showlegend: false } }));
    if (daily) {
      traces.push(line(daily, daily.value, "Equity, daily", colour("--gain"), { line: { width: 2 }, trace: { yaxis: "y2" } }));
      traces.push(line(daily, daily.drawdown, "Equity, daily", colour("--loss"), { line: { width: 1.2 },
        trace: { yaxis: "y3", fill: "tozeroy", fillcolor: faded("--loss-fill", 0.22), showlegend: false } }));
    }
    return traces;
  };

  // The lowest and highest value of each row of the figure between two times.
  const reach = (figure, low, high) => {
    const found = {};
    for (const trace of figure.data) {
      const axis = trace.yaxis.replace("y", "yaxis");
      const tops = trace.high || trace.y, bottoms = trace.low || trace.y;
      const span = (found[axis] = found[axis] || [Infinity, -Infinity]);
      let before = null;
      trace.x.forEach((at, row) => {
        if (at === null || bottoms[row] === null) return;
        if (at < low) { before = row; return; }
        if (at > high) return;
        span[0] = Math.min(span[0], bottoms[row]);
        span[1] = Math.max(span[1], tops[row]);
      });
      if (before !== null && axis !== "yaxis") {
        span[0] = Math.min(span[0], bottoms[before]);
        span[1] = Math.max(span[1], tops[before]);
      }
    }
    return found;
  };

  const fitted = (figure, low, high) => {
    const ranges = {};
    for (const [axis, [bottom, top]] of Object.entries(reach(figure, low, high))) {
      if (bottom > top) continue;
      const room = Math.max((top - bottom) * 0.06, axis === "yaxis" ? Math.abs(top) * 0.001 : 0.2);
      ranges[`${axis}.range`] = [bottom - room, axis === "yaxis3" ? Math.max(0, top) + room : top + room];
    }
    return ranges;
  };

  // Marks shrink and levels fade where many trades stand close together.
  const fitMarks = (data, trades, low, high) => {
    const opened = trades.opened || [];
    const shown = opened.filter((at, row) => at <= high && trades.closed[row] >= low).length;
    const share = Math.max(0, Math.min(1, 1 - (shown - 60) / 340));
    for (const trace of data) {
      if (trace.part === "entry") trace.marker.size = 4 + 5 * share;
      if (trace.part === "exit") { trace.marker.size = 2.5 + 3.5 * share; trace.marker.line.width = 0.8 + 0.8 * share; }
      if (trace.part === "levels") trace.opacity = 0.15 + 0.6 * share;
    }
  };

  const figureOf = (place) => {
    const chapter = told.chapters[place];
    const candles = chapter.candles === null ? null : told.candles[chapter.candles];
    const hasTrades = Boolean(chapter.trades.opened && chapter.trades.opened.length);
    const hasPrice = Boolean(candles && candles.time.length) || hasTrades;
    const data = [];
    if (candles) data.push(candleTrace(candles));
    if (hasTrades) data.push(levelTrace(chapter.trades), ...tradeTraces(chapter.trades, true), ...tradeTraces(chapter.trades, false));
    data.push(...curveTraces(chapter));
    const last = Math.max(told.range[1], chapter.closed.time[chapter.closed.time.length - 1]);
    fitMarks(data, chapter.trades, told.range[0], last);
    const rows = hasPrice ? [[0.44, 1], [0.19, 0.4], [0, 0.15]] : [null, [0.36, 0.95], [0, 0.28]];
    const axis = (domain) => ({
      domain, gridcolor: colour("--grid"),
      zeroline: false, side: "right", tickfont: { color: colour("--muted") }, fixedrange: true, automargin: true, exponentformat: "none", separatethousands: true,
    });
    const caption = (domain, text) => ({
      text, x: 0, xref: "paper", xanchor: "left", y: domain[1], yref: "paper", yanchor: "bottom", showarrow: false,
      font: { size: 11, color: colour("--muted") },
    });
    const layout = {
      height: phone.matches ? (hasPrice ? 560 : 380) : (hasPrice ? 760 : 440),
      margin: { l: 12, r: 12, t: 8, b: 40 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink") },
      hovermode: "closest", hoverdistance: 24, dragmode: phone.matches ? "pan" : "zoom",
      hoverlabel: { align: "left", bgcolor: colour("--card"), bordercolor: colour("--muted"), font: { color: colour("--ink"), size: 12.5, family: getComputedStyle(document.body).fontFamily } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: colour("--ink") },
      legend: { orientation: "h", x: 0, xanchor: "left", y: 1.01, yanchor: "bottom", font: { color: colour("--muted"), size: 12 } },
      xaxis: {
        type: "date", range: [told.range[0], last], rangeslider: { visible: false }, gridcolor: colour("--grid"), linecolor: colour("--rule"),
        anchor: "y3", tickfont: { color: colour("--muted") }, zeroline: false, hoverformat: "%Y-%m-%d %H:%M",
      },
      yaxis2: { ...axis(rows[1]), anchor: "x" },
      yaxis3: { ...axis(rows[2]), anchor: "x" },
      annotations: [
        caption(rows[1], chapter.is_money ? "Equity, quote currency" : "Equity, % of the stake"),
        caption(rows[2], chapter.is_money ? "Drawdown, % of the peak" : "Drawdown, points"),
      ],
    };
    if (hasPrice) layout.yaxis = { ...axis(rows[0]), anchor: "x" };
    Object.entries(fitted({ data }, told.range[0], last)).forEach(([key, range]) => { layout[key.replace(".range", "")].range = range; });
    return { data, layout, said: saying(candles, hasTrades) };
  };

  const saying = (candles, hasTrades) =>
    `${candles ? `Candles of ${candles.interval} drawn from minutes. ` : ""}` +
    `${hasTrades ? "▲ long, ▼ short, ○ exit; blue won, orange lost. " : ""}Drag to zoom, double-click for all.`;

  const settings = {
    displaylogo: false, responsive: true, showTips: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
    toImageButtonOptions: { format: "png", scale: 2, filename: "chart" },
  };

  const draw = (place_) => {
    const { data, layout, said } = figureOf(Number(place_.dataset.chapter));
    const first = !place_.classList.contains("drawn");
    if (first) {
      place_.replaceChildren(document.createElement("div"), document.createElement("p"));
      place_.lastChild.className = "said";
      place_.classList.add("drawn");
    }
    place_.lastChild.textContent = said;
    const figure = place_.firstChild;
    Plotly.react(figure, data, layout, { ...settings, displayModeBar: !phone.matches });
    if (!first) return;
    figure.on("plotly_relayout", (changed) => {
      if (!Object.keys(changed).some((key) => key.startsWith("xaxis"))) return;
      const [low, high] = figure.layout.xaxis.range.map((at) => typeof at === "number" ? at : Date.parse(at.replace(" ", "T") + (at.includes(":") ? "Z" : "")));
      fitMarks(figure.data, told.chapters[Number(place_.dataset.chapter)].trades, low, high);
      const ranges = fitted(figure, low, high);
      Object.entries(ranges).forEach(([key, range]) => { figure.layout[key.replace(".range", "")].range = range; });
      Plotly.redraw(figure);
    });
  };

  const isShown = (place) => !place.closest("details:not([open])");
  const drawShown = (again) => document.querySelectorAll(".chart").forEach((place) => {
    if (isShown(place) && (again || !place.classList.contains("drawn"))) draw(place);
  });
  document.addEventListener("toggle", () => drawShown(false), true);
  dark.addEventListener("change", () => drawShown(true));
  phone.addEventListener("change", () => drawShown(true));
  addEventListener("beforeprint", () => {
    document.querySelectorAll("details").forEach((one) => { one.open = true; });
    drawShown(false);
  });
  const follow = () => {
    const target = location.hash.length > 1 && document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
  };
  addEventListener("hashchange", follow);

  // Heads of tables become buttons that sort.
  const value = (row, column) => row.cells[column].textContent;
  const sortBy = (table, column, head) => {
    const isUp = head.getAttribute("aria-sort") !== "ascending", isNumber = head.classList.contains("n");
    const rows = [...table.tBodies[0].rows];
    const compare = isNumber
      ? (a, b) => (isNaN(a) ? isNaN(b) ? 0 : 1 : isNaN(b) ? -1 : isUp ? a - b : b - a)
      : (a, b) => (isUp ? 1 : -1) * (a < b ? -1 : a > b ? 1 : 0);
    const keyed = rows.map((row) => [isNumber ? parseFloat(value(row, column)) : value(row, column), row]);
    keyed.sort((a, b) => compare(a[0], b[0]));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
    head.parentNode.querySelectorAll("th").forEach((one) => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
  };
  document.querySelectorAll(".scroll > table:not(.heat)").forEach((table) => {
    if (!table.tHead || table.tBodies[0].rows.length < 2) return;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.append(...head.childNodes);
      button.addEventListener("click", () => sortBy(table, column, head));
      head.append(button);
    });
  });

  drawShown(false);
  follow();
})();
