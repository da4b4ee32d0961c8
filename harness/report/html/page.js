"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const config = { displayModeBar: false, responsive: true };
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const palette = ["#0a58ca", "#d9480f", "#1a7f37", "#8250df", "#9a6700", "#0e7490", "#b42318", "#57606a"];

  // Colours are written "@name" in the data, and replaced by the theme's.
  const paint = (value) => {
    if (Array.isArray(value)) return value.map(paint);
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, paint(inner)]));
    return typeof value === "string" && /^@[a-z]+$/.test(value) ? css(value.slice(1)) : value;
  };
  const dress = (layout) => {
    const axis = { gridcolor: css("line"), zerolinecolor: css("line"), automargin: true, fixedrange: true };
    const narrow = window.innerWidth < 600;
    return paint({
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: css("text"), size: narrow ? 11 : 13, family: "system-ui, sans-serif" },
      colorway: palette,
      margin: { l: 10, r: 16, t: 10, b: 40 },
      legend: { orientation: "h", y: 1, yanchor: "bottom" },
      dragmode: false,
      xaxis: { ...axis, ...layout.xaxis },
      yaxis: { ...axis, ...layout.yaxis },
    });
  };

  const strip = data.strip;
  const box = document.getElementById("strip");
  const stripFigure = () => {
    const z = strip.devices.map(() => new Array(strip.ids.length).fill(null));
    strip.device.forEach((rows, i) => rows.forEach((row) => { z[row][i] = strip.status[i]; }));
    const steps = [css("line"), css("bad"), css("warn"), css("quiet")];
    const scale = steps.flatMap((colour, i) => [[i / 4, colour], [(i + 1) / 4, colour]]);
    const few = strip.ids.length <= 300 ? 1 : 0;
    const trace = {
      type: "heatmap", z, y: strip.devices, colorscale: scale, zmin: 0, zmax: 4, showscale: false, xgap: few, ygap: few, hoverinfo: "none",
    };
    if (few) {
      trace.text = z.map((row) => row.map((value) => (value === null ? "" : ["", "F", "I", "?"][value])));
      trace.texttemplate = "%{text}";
      trace.textfont = { color: css("paper") };
    }
    const layout = { height: 70 + 26 * Math.max(strip.devices.length, 1), xaxis: { title: { text: "attempts, in the order of start" } } };
    return [[trace], layout];
  };
  const describe = (i) => {
    const kind = strip.kinds[strip.kind[i]];
    return `${strip.ids[i]}: ${strip.statuses[strip.status[i]]}${kind ? `, ${kind}` : ""}`;
  };
  const choose = (i) => {
    const devices = strip.device[i].map((d) => strip.devices[d]).join("+");
    document.getElementById("chosen").textContent =
      `${describe(i)}, ${strip.cells[strip.cell[i]]}, on ${devices || "no device"}, ${strip.seconds[i]} s, seed ${strip.seed[i]}. ` +
      `Repeat it: harness rerun ${strip.ids[i]}`;
    at = i;
  };
  const hovered = document.getElementById("hovered");
  const failures = strip.status.flatMap((status, i) => (status === 0 ? [] : [i]));
  let at = -1;
  document.getElementById("next").addEventListener("click", () => {
    if (failures.length) choose(failures.find((i) => i > at) ?? failures[0]);
  });
  document.getElementById("previous").addEventListener("click", () => {
    if (failures.length) choose(failures.findLast((i) => i < at) ?? failures[failures.length - 1]);
  });

  const draw = () => {
    for (const element of document.querySelectorAll("[data-figure]")) {
      const figure = data.figures[element.dataset.figure];
      Plotly.react(element, paint(figure.data), dress(figure.layout), config);
    }
    if (strip.ids.length) {
      const [traces, layout] = stripFigure();
      Plotly.react(box, traces, dress(layout), config);
      if (!box.dataset.ready) {
        box.on("plotly_click", (event) => choose(event.points[0].x));
        box.on("plotly_hover", (event) => { hovered.textContent = describe(event.points[0].x); });
        box.dataset.ready = "yes";
      }
    } else {
      box.textContent = "No attempt has ended yet.";
    }
    document.documentElement.dataset.drawn = "yes";
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.addEventListener("beforeprint", draw);
  window.addEventListener("afterprint", draw);
})();
