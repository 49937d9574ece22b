"use strict";
// The page is complete without this file: it only says what is under the pointer, and swaps the charts for ones that zoom.
(() => {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  if (!data) return;

  const heat = document.getElementById("heat");
  if (data.heat && heat) explainCells(heat, data.heat);
  // Parsing the library takes most of a second: let the page be read first.
  addEventListener("load", () => setTimeout(() => zoomable(data).catch(keepDrawing), 50));

  function keepDrawing(error) {
    document.documentElement.dataset.charts = "static";
    console.warn("the charts stay as they are:", error);
  }

  function explainCells(figure, heat) {
    const tip = document.body.appendChild(Object.assign(document.createElement("div"), { className: "tip", hidden: true }));
    figure.addEventListener("pointermove", (event) => {
      const plot = event.target.closest("[data-row]");
      tip.hidden = !plot;
      if (!plot) return;
      const box = plot.getBoundingClientRect();
      const [tenant, ratios, causes, samples] = heat.rows[plot.dataset.row];
      const cell = Math.min(ratios.length - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * ratios.length)));
      const begin = heat.start + cell * heat.step;
      const said = ratios[cell] === null ? "no requests" : `${ratios[cell]} × its limit (${causes[cell]}, n ${samples[cell]})`;
      tip.textContent = `${tenant}, ${Math.max(0, begin)}–${begin + heat.step} s: ${said}`;
      tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 4))}px`;
      tip.style.top = `${event.clientY + 16}px`;
    });
    figure.addEventListener("pointerleave", () => { tip.hidden = true; });
  }

  async function zoomable(data) {
    const place = document.getElementById("zoom");
    await loadLibrary();
    place.hidden = false;
    const draw = async () => {
      const figure = describe(data, colours(), place.clientWidth);
      await Plotly.react(place, figure.traces, figure.layout, { responsive: true, displaylogo: false, displayModeBar: place.clientWidth < 640 ? false : "hover", modeBarButtonsToRemove: ["select2d", "lasso2d"] });
    };
    try {
      await draw();
    } catch (error) {
      place.hidden = true;
      throw error;
    }
    const drawn = place.closest("figure");
    for (const part of drawn.querySelectorAll(":scope > .strips, :scope > .strip, :scope > .legend")) part.style.display = "none";
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    document.documentElement.dataset.traces = place._fullData.map((trace) => trace.type).join(" ");
    document.documentElement.dataset.charts = "zoomable";
  }

  async function loadLibrary() {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent.trim()), (c) => c.charCodeAt(0));
    const plain = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(plain).text();
    document.head.append(script);
    if (!window.Plotly) throw new Error("the chart library did not start");
  }

  function colours() {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(`--${name}`).trim();
    return { of, series: Array.from({ length: 8 }, (_, number) => of(`s${number}`)) };
  }

  // One figure for all: panels and lanes are subplots with one x axis, so zooming one zooms all.
  function describe(data, colour, width) {
    const rows = data.panels.length + (data.lanes.length ? 1 : 0);
    const laneShare = data.lanes.length ? Math.min(0.5, (36 * data.lanes.length) / (130 * data.panels.length + 36 * data.lanes.length)) : 0;
    const gap = 0.028;
    const panelShare = (1 - laneShare - gap * (rows - 1)) / data.panels.length;
    const layout = {
      height: 130 * data.panels.length + 36 * data.lanes.length + 120,
      margin: { l: width < 640 ? 52 : 176, r: 8, t: 56, b: 36 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: colour.of("text") },
      hovermode: "x", showlegend: true, legend: { orientation: "h", y: 1.03, yanchor: "bottom", x: 0 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour.of("quiet"), activecolor: colour.of("text") },
      barmode: "overlay", bargap: 0.25, dragmode: "zoom", shapes: [], annotations: [],
      xaxis: { range: [data.start, data.end], ticksuffix: " s", anchor: `y${rows > 1 ? rows : ""}`, gridcolor: colour.of("line"), zeroline: false, title: { text: "" } },
    };
    const traces = [];
    let top = 1;
    data.panels.forEach((panel, number) => {
      const axis = number ? `y${number + 1}` : "y";
      layout[axis.replace("y", "yaxis")] = {
        domain: [Math.max(0, top - panelShare), top], type: panel.log ? "log" : "linear", rangemode: "tozero", gridcolor: colour.of("line"), zeroline: false,
        ...(panel.log ? { dtick: 1 } : { nticks: 4 }), fixedrange: true, tickfont: { size: 10 }, exponentformat: "none",
      };
      if (panel.unit === "%") layout[axis.replace("y", "yaxis")].range = [-2, 102];
      layout.annotations.push(label(`<b>${escaped(panel.title)}</b>, ${escaped(panel.unit)}`, top, width));
      if (panel.limit !== null) layout.shapes.push(limit(panel, axis, colour));
      const last = number === data.panels.length - 1;
      for (const series of panel.series) traces.push(line(series, panel, axis, data, colour, { showLegend: number === 0 || last, legend: last ? "legend2" : "legend" }));
      if (last) layout.legend2 = { orientation: "h", x: 1, xanchor: "right", y: top, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)", font: { size: 11 } };
      top -= panelShare + gap;
    });
    if (data.lanes.length) {
      const axis = rows > 1 ? `y${rows}` : "y";
      layout[axis.replace("y", "yaxis")] = { domain: [0, laneShare], fixedrange: true, type: "linear", showgrid: false, zeroline: false, tickfont: { size: 11 },
        tickmode: "array", tickvals: data.lanes.map((_, number) => number), ticktext: data.lanes.map((lane) => laneName(lane, width)), range: [data.lanes.length - 0.5, -0.5] };
      data.lanes.forEach((lane, number) => { if (lane.note) layout.annotations.push(laneNote(lane, number, axis)); });
      traces.push(...laneBars(data, axis, colour));
    }
    for (const [name, begin, end] of data.phases) {
      layout.shapes.push({ type: "line", xref: "x", yref: "paper", x0: begin, x1: begin, y0: 0, y1: 1, line: { color: colour.of("strong-line"), width: 1, dash: "dot" } });
      const room = ((end - begin) / (data.end - data.start)) * (width - layout.margin.l);
      if (room > 7 * name.length) layout.annotations.push({ text: name === "fault" ? `<b>${name}</b>` : name, showarrow: false, xref: "x", yref: "paper", x: begin, y: 1, xanchor: "left", yanchor: "bottom", font: { size: 11 } });
      if (name === "fault") layout.shapes.push({ type: "rect", xref: "x", yref: "paper", x0: begin, x1: end, y0: 0, y1: 1, fillcolor: colour.of("s0"), opacity: 0.08, line: { width: 0 }, layer: "below" });
    }
    return { traces, layout };
  }

  function label(text, y, width) {
    const inside = width < 640;
    return { text, showarrow: false, xref: "paper", yref: "paper", x: inside ? 0 : 0, xshift: inside ? 4 : -170, y, xanchor: "left", yanchor: "top", align: "left", font: { size: 11 } };
  }

  function laneName(lane, width) {
    return width < 640 ? escaped(lane.kind) : `<span style="font-size:9px">${escaped(lane.kind)}</span><br>${escaped(shortened(lane.name))}`;
  }

  function laneNote(lane, number, axis) {
    return { text: escaped(lane.note), showarrow: false, xref: "paper", x: 0, xshift: 6, yref: axis, y: number, xanchor: "left", font: { size: 11 } };
  }

  function limit(panel, axis, colour) {
    return { type: "line", xref: "paper", yref: axis, x0: 0, x1: 1, y0: panel.limit, y1: panel.limit, line: { color: colour.of("text"), width: 1, dash: "dash" } };
  }

  function line(series, panel, axis, data, colour, { showLegend, legend }) {
    return {
      type: "scatter", mode: "lines", name: escaped(series.name), legendgroup: `${legend}-${series.name}`, showlegend: showLegend, legend, xaxis: "x", yaxis: axis,
      x: series.y.map((_, number) => data.start + (number + 0.5) * data.step), y: series.y, connectgaps: false,
      line: { color: colour.series[series.style % 8], width: series.strong ? 2.6 : 1.5, dash: ["solid", "dash", "dot", "dashdot"][series.style % 4] },
      hovertemplate: `%{y:.4~g} ${escaped(panel.unit)}`,
    };
  }

  function laneBars(data, axis, colour) {
    const looks = { fault: colour.of("s0"), open: colour.of("text"), half_open: colour.of("strong-line"), closed: colour.of("s2"), exited: colour.of("bad") };
    return Object.keys(looks).map((look) => {
      const bars = data.lanes.flatMap((lane, number) => lane.bars.filter((bar) => bar[2] === look).map((bar) => [number, ...bar]));
      return {
        type: "bar", orientation: "h", name: look, showlegend: false, xaxis: "x", yaxis: axis,
        y: bars.map((bar) => bar[0]), base: bars.map((bar) => bar[1]), x: bars.map((bar) => bar[2] - bar[1]),
        width: bars.map(() => (look === "closed" ? 0.15 : 0.75)), marker: { color: looks[look], line: { width: 0 } },
        text: bars.map((bar) => (look === "closed" || look === "half_open" ? "" : escaped(bar[4]))), textposition: "inside", insidetextanchor: "start", textfont: { color: colour.of("page") }, constraintext: "none", cliponaxis: true,
        customdata: bars.map((bar) => [escaped(bar[4]), bar[1], bar[2]]), hovertemplate: "%{customdata[0]}, %{customdata[1]:.1f} to %{customdata[2]:.1f} s<extra></extra>",
      };
    }).filter((trace) => trace.y.length);
  }

  // Plotly reads a little HTML in its texts; names are not ours.
  function escaped(text) {
    return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function shortened(name) {
    const most = 26;
    return name.length > most ? `${name.slice(0, most - 1)}…` : name;
  }
})();
