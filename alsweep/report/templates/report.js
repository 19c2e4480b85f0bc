"use strict";
// Draws the figures that the page holds, and switches between what they hold. It computes nothing and knows no section.
(() => {
  const config = {
    displaylogo: false,
    responsive: true,
    // Named one by one, since some of plotly's own buttons would call on a server.
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };

  // Whatever follows a switch is {switch: its name, of: {its value: what to take}}.
  const resolve = (value, state) => {
    if (Array.isArray(value)) return value.map((one) => resolve(one, state));
    if (value === null || typeof value !== "object") return value;
    if ("switch" in value) return resolve(value.of[state[value.switch]], state);
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolve(one, state)]));
  };

  const draw = (plot, figure) => {
    // On a phone the colour bar would take the room of the cells.
    const narrow = plot.clientWidth < 420;
    const data = figure.data.map((t) => (t.type === "heatmap" && narrow ? { ...t, showscale: false } : t));
    Plotly.react(plot, data, figure.layout, config);
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

  document.querySelectorAll("section").forEach((section) => {
    const plots = [...section.querySelectorAll(".plot")].map((plot) => [
      plot, JSON.parse(plot.nextElementSibling.textContent),
    ]);
    const controls = [...section.querySelectorAll("[data-switch]")];
    const drawAll = () => {
      const state = Object.fromEntries(controls.map((one) => [one.dataset.switch, setting(one)]));
      plots.forEach(([plot, figure]) => draw(plot, resolve(figure, state)));
    };
    controls.forEach((control) => listen(control, drawAll));
    drawAll();
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
