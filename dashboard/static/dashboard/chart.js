// Entries per quarter of an hour: today as bars, the same weekday last week as a stepped line.
// What is not known is hatched, so that it cannot be taken for zero.
"use strict";

(() => {
  const store = document.getElementById("store");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const format = new Intl.NumberFormat(document.documentElement.lang);
  let plot = null;
  let data = null;
  let colours = {};
  let hatch = null;

  const host = () => document.getElementById("chart");
  const readout = () => document.getElementById("readout");

  function read() {
    const element = document.getElementById("traffic-data");
    return element && JSON.parse(element.textContent);
  }

  // Positions are quarters since the first one, so that neither time zones nor clock changes matter here.
  function columns() {
    // One position more than there are quarters, up to which the last one is drawn.
    const positions = [...data.labels.keys(), data.labels.length];
    const lastWeek = [...data.lastWeek, data.lastWeek.at(-1)];
    return [positions, lastWeek, [...data.today, null], lastWeek];
  }

  function nowPosition() {
    return (sensorapp.now() / 1000 - data.start) / data.step;
  }

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    const names = ["accent", "accent-soft", "before", "before-soft", "line", "ink-quiet", "now", "hatch"];
    colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    hatch = null;
  }

  function hatching(context) {
    if (hatch !== null) return hatch;
    const size = 8 * devicePixelRatio;
    const tile = document.createElement("canvas");
    tile.width = tile.height = size;
    const pen = tile.getContext("2d");
    pen.strokeStyle = colours.hatch;
    pen.lineWidth = 1.25 * devicePixelRatio;
    pen.beginPath();
    for (const offset of [-size, 0, size]) {
      pen.moveTo(offset, size);
      pen.lineTo(offset + size, 0);
    }
    pen.stroke();
    return (hatch = context.createPattern(tile, "repeat"));
  }

  function drawUnknown(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.fillStyle = hatching(ctx);
    for (const [index, missing] of data.missing.entries()) {
      if (missing < 0.05) continue;
      ctx.globalAlpha = Math.max(0.25, missing);
      const left = u.valToPos(index, "x", true);
      const right = u.valToPos(index + 1, "x", true);
      ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.restore();
  }

  function drawNow(u) {
    const position = nowPosition();
    if (position < 0 || position > data.labels.length) return;
    const { ctx, bbox } = u;
    const x = Math.round(u.valToPos(position, "x", true));
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colours.now;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.arc(x, bbox.top, 3 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.fill();
    ctx.restore();
  }

  // The quarter that has not ended yet is paler than those that are complete.
  function barColours() {
    const now = nowPosition();
    return data.labels.map((_, index) => (now >= index && now < index + 1 ? colours["accent-soft"] : colours.accent));
  }

  function hours(u) {
    const whole = data.labels.flatMap((label, index) => (label.endsWith(":00") ? [index] : []));
    const room = Math.max(1, Math.floor(u.width / 56));
    const step = [1, 2, 3, 4, 6, 12].find((every) => whole.length / every <= room) ?? 12;
    return whole.filter((_, index) => index % step === 0);
  }

  function tell(u) {
    const latest = Math.max(0, Math.min(Math.ceil(nowPosition()) - 2, data.labels.length - 1));
    const index = Math.min(u.cursor.idx ?? latest, data.labels.length - 1);
    const known = (value) => (value === null ? "not known" : format.format(value));
    const today = index > nowPosition() ? "to come" : known(data.today[index]);
    const growing = nowPosition() >= index && nowPosition() < index + 1 ? " so far" : "";
    const end = data.labels[index + 1] ?? "";
    readout().replaceChildren(
      part("quiet", `${data.labels[index]}–${end}`),
      part("key today", `${today}${growing}`),
      part("key last-week", known(data.lastWeek[index])),
    );
  }

  function part(name, text) {
    const element = document.createElement("span");
    element.className = name;
    element.textContent = text;
    return element;
  }

  function options(width, height) {
    const { stepped, bars } = uPlot.paths;
    const font = `12px ${getComputedStyle(document.body).fontFamily}`;
    return {
      width,
      height,
      padding: [8, 4, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false, setScale: false }, dataIdx: (u, _, __, x) => Math.min(Math.floor(x), data.labels.length - 1) },
      scales: {
        x: { time: false, range: () => [0, data.labels.length] },
        y: { range: (_, __, most) => [0, Math.max(4, most * 1.08)] },
      },
      axes: [
        {
          splits: hours,
          values: (_, splits) => splits.map((index) => data.labels[index]),
          stroke: () => colours["ink-quiet"],
          grid: { show: false },
          ticks: { stroke: () => colours.line, width: 1, size: 5 },
          font,
          size: 30,
        },
        {
          stroke: () => colours["ink-quiet"],
          grid: { stroke: () => colours.line, width: 1 },
          ticks: { show: false },
          incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000],
          values: (_, splits) => splits.map((value) => format.format(value)),
          font,
          size: 40,
        },
      ],
      series: [
        {},
        { paths: stepped({ align: 1 }), fill: () => colours["before-soft"], width: 0, points: { show: false } },
        {
          paths: bars({ align: 1, size: [0.8, 40], disp: { fill: { unit: 3, values: barColours }, stroke: { unit: 3, values: barColours } } }),
          width: 0,
          points: { show: false },
        },
        { paths: stepped({ align: 1 }), stroke: () => colours.before, width: 1.5, points: { show: false } },
      ],
      hooks: { drawClear: [drawUnknown], draw: [drawNow], setCursor: [tell] },
    };
  }

  function size() {
    return [host().clientWidth, host().clientHeight];
  }

  function draw() {
    data = read();
    if (data === null || host() === null) {
      plot?.destroy();
      plot = null;
      return;
    }
    if (plot !== null && plot.root.isConnected) {
      plot.setData(columns());
      tell(plot);
      return;
    }
    readColours();
    plot = new uPlot(options(...size()), columns(), host());
    tell(plot);
    resizing.disconnect();
    resizing.observe(host());
  }

  const resizing = new ResizeObserver(() => {
    const [width, height] = size();
    if (plot !== null && (plot.width !== width || plot.height !== height)) plot.setSize({ width, height });
  });

  dark.addEventListener("change", () => {
    readColours();
    plot?.redraw(false);
  });
  document.addEventListener("sensorapp:tick", () => plot?.redraw(true));
  store.addEventListener("htmx:afterSwap", draw);
  sensorapp.setClock(document.getElementById("snapshot").dataset.at);
  draw();
})();
