"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const config = {
    displaylogo: false,
    responsive: true,
    // Named one by one, since some of plotly's own buttons would call on a server.
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };
  const state = { x: Object.keys(data.budgets)[0], metric: "mean_dice", seeds: false, hidden: new Set() };
  const looks = new Map(data.looks.map((look) => [look.strategy, look]));

  const known = (values) => values.filter((value) => value !== null && value !== undefined);
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const deviation = (values) => {
    if (values.length < 2) return null;
    const middle = mean(values);
    return Math.sqrt(values.reduce((sum, v) => sum + (v - middle) ** 2, 0) / (values.length - 1));
  };
  const withAlpha = (hex, alpha) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${r},${g},${b},${alpha})`;
  };

  // One point a loop: mean over the seeds that have a value there.
  function summary(seeds) {
    const loops = Math.max(...seeds.map((seed) => seed.y[state.metric].length));
    const points = [];
    for (let loop = 0; loop < loops; loop += 1) {
      const there = seeds.filter((seed) => known([seed.y[state.metric][loop]]).length);
      if (!there.length) continue;
      const values = there.map((seed) => seed.y[state.metric][loop]);
      points.push({
        loop,
        x: mean(there.map((seed) => seed.x[state.x][loop])),
        y: mean(values),
        std: deviation(values),
        seeds: values.length,
      });
    }
    return points;
  }

  function traces(entry) {
    const look = looks.get(entry.strategy);
    const points = summary(entry.seeds);
    const line = { color: look.colour, width: 2.6, dash: look.baseline ? "dash" : "solid" };
    const banded = points.filter((point) => point.std !== null);
    const band = {
      type: "scatter", mode: "lines", hoverinfo: "skip", fill: "toself", line: { width: 0 },
      fillcolor: withAlpha(look.colour, 0.13),
      x: [...banded.map((p) => p.x), ...banded.map((p) => p.x).reverse()],
      y: [...banded.map((p) => p.y + p.std), ...banded.map((p) => p.y - p.std).reverse()],
    };
    const single = state.seeds ? entry.seeds.map((seed) => ({
      type: "scatter", mode: "lines", x: seed.x[state.x], y: seed.y[state.metric],
      line: { color: withAlpha(look.colour, 0.6), width: 1 },
      hovertemplate: `${look.name}, seed ${seed.seed}<br>%{y:.2f} %<extra></extra>`,
    })) : [];
    const middle = {
      type: "scatter", mode: "lines+markers", line, name: look.name,
      x: points.map((p) => p.x), y: points.map((p) => p.y),
      customdata: points.map((p) => [p.loop, p.std === null ? "" : ` ± ${p.std.toFixed(2)}`, p.seeds]),
      marker: {
        size: 8, symbol: look.symbol, color: look.baseline ? "#ffffff" : look.colour,
        line: { color: look.colour, width: 2 },
      },
      hovertemplate: `<b>${look.name}</b><br>loop %{customdata[0]}: %{y:.2f}%{customdata[1]} %`
        + " (n = %{customdata[2]})<extra></extra>",
    };
    return [band, ...single, middle];
  }

  const titled = (axis, text, more) => ({ ...axis, title: { ...axis.title, text }, ...more });

  // What the same recipe reaches on the fully annotated pool.
  function fullData(panel) {
    const level = panel.full[state.metric];
    if (level === null || level === undefined) return {};
    const line = { color: "#1c2430", width: 1.5, dash: "dot" };
    return {
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: level, y1: level, line }],
      annotations: [{
        xref: "paper", x: 0, xanchor: "left", y: level, yanchor: "bottom", showarrow: false,
        text: `full data: ${level.toFixed(2)}`, font: { size: 12, color: "#1c2430" },
      }],
    };
  }

  // Axes follow traces alone, so the line's height is given to them by an invisible point.
  function fullDataHeight(panel, shown) {
    const level = panel.full[state.metric];
    if (level === null || level === undefined || !shown.length) return [];
    const x = shown[0].seeds[0].x[state.x][0];
    return [{ type: "scatter", mode: "markers", x: [x], y: [level], opacity: 0, hoverinfo: "skip" }];
  }

  function drawCurves() {
    data.curves.forEach((panel, index) => {
      const shown = panel.strategies.filter((entry) => !state.hidden.has(entry.strategy));
      // Bands lie below all lines, so that none hides another strategy's line.
      const all = shown.flatMap(traces);
      const ordered = [
        ...all.filter((t) => t.fill), ...all.filter((t) => !t.fill), ...fullDataHeight(panel, shown),
      ];
      const layout = {
        ...data.curveLayout,
        hovermode: "closest",
        xaxis: titled(data.curveAxis, data.budgets[state.x]),
        yaxis: titled(data.curveAxis, "Dice [%]"),
        ...fullData(panel),
      };
      Plotly.react(`curve-${index}`, ordered, layout, config);
    });
  }

  function panel(parent, id, title) {
    const box = document.createElement("div");
    box.className = "figure";
    if (title) box.append(Object.assign(document.createElement("h3"), { textContent: title }));
    box.append(Object.assign(document.createElement("div"), { id }));
    document.getElementById(parent).append(box);
  }

  function chip(look) {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    const fill = look.baseline ? "#ffffff" : look.colour;
    const dash = look.baseline ? ' stroke-dasharray="4 3"' : "";
    button.innerHTML = '<svg width="30" height="12" aria-hidden="true">'
      + `<line x1="0" y1="6" x2="30" y2="6" stroke="${look.colour}" stroke-width="2.5"${dash}/>`
      + `<circle cx="15" cy="6" r="4" fill="${fill}" stroke="${look.colour}" stroke-width="2"/></svg>`;
    button.append(look.name);
    button.addEventListener("click", () => {
      const hide = !state.hidden.has(look.strategy);
      if (hide) state.hidden.add(look.strategy); else state.hidden.delete(look.strategy);
      button.setAttribute("aria-pressed", String(!hide));
      drawCurves();
    });
    return button;
  }

  function segments(name, choose) {
    const group = document.querySelector(`[data-control="${name}"]`);
    group.addEventListener("click", (event) => {
      const value = event.target.dataset.value;
      if (!value) return;
      group.querySelectorAll("button").forEach((button) => {
        button.setAttribute("aria-pressed", String(button === event.target));
      });
      choose(value);
    });
  }

  const draw = (id, figure) => {
    // On a phone the colour bar would take the room of the cells.
    const narrow = document.getElementById(id).clientWidth < 420;
    const shown = figure.data.map((t) => (t.type === "heatmap" && narrow ? { ...t, showscale: false } : t));
    Plotly.react(id, shown, figure.layout, config);
  };

  data.curves.forEach((curve, index) => {
    const title = data.curves.length > 1 ? curve.title : "";
    panel("multiples", `curve-${index}`, curve.title);
    panel("query-figures", `query-${index}`, title);
    panel("compute-figures", `time-${index}`, title);
    draw(`query-${index}`, data.queries[index]);
    draw(`time-${index}`, data.compute[index]);
  });
  data.looks.forEach((look) => document.getElementById("chips").append(chip(look)));
  drawCurves();
  draw("win-figure", data.wins.none);
  draw("rank-figure", data.ranking);

  segments("x", (value) => { state.x = value; drawCurves(); });
  segments("correction", (value) => draw("win-figure", data.wins[value]));
  document.getElementById("metric").addEventListener("change", (event) => {
    state.metric = event.target.value;
    drawCurves();
  });
  document.getElementById("seeds").addEventListener("change", (event) => {
    state.seeds = event.target.checked;
    drawCurves();
  });

  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const observer = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      links.forEach((link) => link.classList.remove("here"));
      links.get(entry.target.id)?.classList.add("here");
    });
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("section").forEach((section) => observer.observe(section));
})();
