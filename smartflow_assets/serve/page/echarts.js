// Brings the vendored charting library when the first chart is drawn: the page's figures stand before its megabyte has come.

let coming = null;

export function library() {
  coming ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("vendor/echarts/echarts.min.js", import.meta.url).href;
    script.onload = () => resolve(globalThis.echarts);
    script.onerror = () => {
      coming = null;
      reject(new Error("the charting library did not come"));
    };
    document.head.append(script);
  });
  return coming;
}

/** The colours of the theme as the stylesheet has them now. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  return (name) => style.getPropertyValue(`--${name}`).trim();
}

const shown = new Set();
const byElement = new Map();

/** Draws what is in view and lets go of what is not: a hundred charts are a dozen canvases. `chart` has `element`, `enter()` and `leave()`. */
export function drawnInView(chart) {
  byElement.set(chart.element, chart);
  observer.observe(chart.element);
  return () => {
    observer.unobserve(chart.element);
    byElement.delete(chart.element);
    shown.delete(chart);
    chart.leave();
  };
}

const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const chart = byElement.get(entry.target);
    if (!chart) continue;
    if (entry.isIntersecting) {
      shown.add(chart);
      chart.enter();
    } else if (shown.delete(chart)) chart.leave();
  }
}, { rootMargin: "160px 0px" });

const redraw = () => shown.forEach((chart) => chart.enter());
addEventListener("smartflow:theme", redraw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
