"use strict";
(async () => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const packed = document.getElementById("plotly").textContent.trim();
  if (!packed || typeof DecompressionStream === "undefined") return;
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text(); // runs only if it is the very text whose hash the page allows
  document.head.append(script);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const paint = (value) => {
    if (typeof value === "string") return value.startsWith("@") ? colour(value.slice(1)) || value : value;
    if (Array.isArray(value)) return value.map(paint);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v)]));
    return value;
  };
  const axis = (own) => ({ gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"),
    automargin: true, fixedrange: true, ...own, title: { standoff: 8, ...(own || {}).title } });
  let printing = false; // a page of paper is narrower than the window, and nothing measures it before it is printed
  const wide = (node) => (printing ? { width: node.closest(".pair") ? 330 : 690 } : {});
  const layout = (figure) => ({
    margin: { l: 8, r: 16, t: figure.data.length > 1 ? 30 : 16, b: 8 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false,
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("ink") },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, hoverlabel: { namelength: -1 },
    ...figure.layout, xaxis: axis(figure.layout.xaxis), yaxis: axis(figure.layout.yaxis),
  });
  const draw = () => {
    for (const node of document.querySelectorAll("[data-chart]")) {
      const figure = figures[node.dataset.chart];
      if (!figure) continue;
      const painted = paint(figure);
      node.style.height = painted.layout.height + "px";
      window.Plotly.react(node, painted.data, { ...layout(painted), ...wide(node) }, { displayModeBar: false, responsive: true });
    }
    document.documentElement.dataset.charts = "drawn";
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", () => { printing = true; draw(); });
  addEventListener("afterprint", () => { printing = false; draw(); });
})();
