"use strict";
// Draws the figures that the page holds, and switches between what they hold. It computes nothing and knows no section.
(() => {
  const config = {
    displaylogo: false,
    responsive: true,
    // Named one by one, since some of plotly's own buttons would call on a server.
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };

  // The colours of figures by night, as Python chose them; printed is as by day.
  const night = JSON.parse(document.getElementById("dark").textContent);
  const wanted = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;

  // Whatever follows a switch is {switch: its name, of: {its value: what to take}}.
  const resolve = (value, state) => {
    if (typeof value === "string") return wanted.matches && !printing ? night[value] ?? value : value;
    if (Array.isArray(value)) return value.map((one) => resolve(one, state));
    if (value === null || typeof value !== "object") return value;
    if ("switch" in value) {
      // What a figure does not have for an option is not shown with it.
      const option = state[value.switch];
      return option in value.of ? resolve(value.of[option], state) : false;
    }
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolve(one, state)]));
  };

  const draw = (plot, figure) => {
    // On a phone the colour bar would take the room of the cells.
    const narrow = plot.clientWidth < 420;
    const data = figure.data.map((t) => (t.type === "heatmap" && narrow ? { ...t, showscale: false } : t));
    const layout = narrow ? { ...figure.layout, font: { ...figure.layout.font, size: 11 } } : figure.layout;
    Plotly.react(plot, data, layout, config);
  };

  const press = (button, on) => button.setAttribute("aria-pressed", String(on));
  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const onOff = (on) => (on ? "on" : "off");

  // What a control is set to now.
  function setting(control) {
    if (control.tagName === "SELECT") return control.value;
    if (control.tagName === "INPUT") return onOff(control.checked);
    if (control.tagName === "BUTTON") return onOff(pressed(control));
    return [...control.querySelectorAll("button")].find(pressed).dataset.value;
  }

  function listen(control, changed) {
    if (control.tagName === "SELECT" || control.tagName === "INPUT") {
      control.addEventListener("change", changed);
      return;
    }
    control.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button === control) press(button, !pressed(button));
      else control.querySelectorAll("button").forEach((one) => press(one, one === button));
      changed();
    });
  }

  // Plotly hears of the window alone: a card also becomes narrower by a scroll bar that appears.
  const cards = new ResizeObserver((entries) => entries.forEach(({ target }) => {
    if (target.clientWidth && target.clientWidth !== target._fullLayout?.width) {
      target.drawAgain();
      Plotly.Plots.resize(target);
    }
  }));

  // A point may lead to a choice elsewhere in the page: {section, choice, value}.
  function go(point) {
    const to = point.data.meta?.go?.[point.pointNumber];
    const section = to && document.getElementById(to.section);
    const control = section?.querySelector(`select[data-switch="${to.choice}"]`);
    if (!control) return;
    control.value = to.value;
    control.dispatchEvent(new Event("change"));
    section.scrollIntoView();
    control.focus({ preventScroll: true });
  }

  const redraws = [];
  document.querySelectorAll("section").forEach((section) => {
    const plots = [...section.querySelectorAll(".plot")].map((plot) => [
      plot, JSON.parse(plot.nextElementSibling.textContent),
    ]);
    const frames = [...section.querySelectorAll("[data-when]")].map((f) => [f, JSON.parse(f.dataset.when)]);
    const controls = [...section.querySelectorAll("[data-switch]")];
    const now = () => Object.fromEntries(controls.map((one) => [one.dataset.switch, setting(one)]));
    const drawAll = () => {
      const state = now();
      plots.forEach(([plot, figure]) => draw(plot, resolve(figure, state)));
      frames.forEach(([frame, when]) => {
        frame.hidden = !Object.entries(when).every(([name, value]) => state[name] === value);
      });
    };
    controls.forEach((control) => listen(control, drawAll));
    drawAll();
    redraws.push(drawAll);
    plots.forEach(([plot, figure]) => {
      plot.drawAgain = () => draw(plot, resolve(figure, now()));
      cards.observe(plot);
      plot.on("plotly_click", ({ points }) => go(points[0]));
    });
  });
  const redraw = () => redraws.forEach((one) => one());
  wanted.addEventListener("change", redraw);
  addEventListener("beforeprint", () => { printing = true; redraw(); });
  addEventListener("afterprint", () => { printing = false; redraw(); });

  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const observer = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      links.forEach((link) => link.classList.remove("here"));
      links.get(entry.target.id)?.classList.add("here");
    });
  }, { rootMargin: "-20% 0px -70% 0px" });
  document.querySelectorAll("section").forEach((section) => observer.observe(section));
})();
