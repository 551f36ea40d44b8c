// Unpacks the chart library that this page carries and draws the charts. Nothing is fetched. Where
// anything fails, the words that stand in for each chart are shown again.
(() => {
  "use strict";
  const PAPER = 660; // A4 and Letter, less their margins, in CSS pixels
  const charts = () => Array.from(document.querySelectorAll(".plot"));

  const unpack = async (element) => {
    const packed = atob(element.textContent.trim());
    const bytes = Uint8Array.from(packed, (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };

  const draw = async (plot) => {
    const source = plot.parentElement.querySelector('script[type="application/json"]');
    const { data, layout } = JSON.parse(source.textContent);
    const words = plot.querySelector(".words");
    const canvas = document.createElement("div");
    canvas.style.height = `${layout.height}px`;
    // What needs more room than the screen has is scrolled, not squeezed until it overlaps.
    if (layout.meta && layout.meta.room > 0) canvas.style.minWidth = `${layout.meta.room}px`;
    plot.append(canvas);
    await Plotly.newPlot(canvas, data, { ...layout, autosize: true }, {
      displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false,
    });
    words.remove();
    plot.dataset.drawn = "true";
  };

  const resize = (width) => {
    for (const plot of charts()) {
      const canvas = plot.querySelector(".js-plotly-plot");
      if (canvas) Plotly.relayout(canvas, width ? { width, autosize: false } : { width: null, autosize: true });
    }
  };

  const start = async () => {
    const library = document.createElement("script");
    library.textContent = await unpack(document.getElementById("chart-library"));
    document.head.append(library);
    await Promise.all(charts().map(draw));
    window.addEventListener("beforeprint", () => resize(PAPER));
    window.addEventListener("afterprint", () => resize(null));
    document.documentElement.dataset.charts = "drawn";
  };

  start().catch((error) => {
    document.documentElement.classList.remove("js");
    console.error(error);
  });
})();
