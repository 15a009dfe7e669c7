// Niceties. Every page works the same without this file.
(() => {
  "use strict";
  const PREFIX = "mollie-onboarding:";
  const PATIENCE = 10_000; // milliseconds until a button may be pressed again
  const main = document.querySelector("main");
  const form = document.querySelector("form[data-remember]");

  const load = async (options) => {
    const answer = await fetch(location.href, { credentials: "same-origin", ...options });
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  // One press is enough. Not by `disabled`, which would keep the button's value from being sent.
  const release = (sent) => {
    delete sent.dataset.sent;
    sent.querySelectorAll("button").forEach((button) => button.removeAttribute("aria-disabled"));
  };
  document.addEventListener("submit", (event) => {
    const sent = event.target;
    if (sent.dataset.sent) return event.preventDefault();
    sent.dataset.sent = "yes";
    sent.querySelectorAll("button").forEach((button) => button.setAttribute("aria-disabled", "true"));
    setTimeout(release, PATIENCE, sent);
  });

  // The page looks again: while it waits, and when somebody comes back to it from another tab, device, or from Mollie.
  const look = async () => {
    if (document.hidden || !document.querySelector("[data-watch]")) return;
    try {
      const found = (await load()).querySelector("main");
      if (found && found.textContent !== main.textContent) location.replace(location.href);
    } catch { /* no network: what is here stays */ }
  };
  document.addEventListener("visibilitychange", look);
  if (main.dataset.status === "finishing") setInterval(look, 3000);
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return; // not as it was left
    document.querySelectorAll("form").forEach(release);
    look();
  });

  // A browser that blocks storage throws when it is touched.
  const store = (action) => { try { return action(sessionStorage); } catch { return null; } };
  if (["started", "connected"].includes(main.dataset.status)) {
    store((storage) => Object.keys(storage).filter((key) => key.startsWith(PREFIX)).forEach((key) => storage.removeItem(key)));
  }
  if (!form) return;

  // What depends on the country follows it at once. Without a script its button does that.
  const country = form.elements.country;
  const button = form.querySelector("[data-country-button]");
  const swap = async () => {
    const data = new FormData(form);
    data.set("choose_country", "1");
    try {
      const fresh = (await load({ method: "POST", body: data })).getElementById("by-country");
      if (!fresh || data.get("country") !== country.value) return; // it changed once more meanwhile
      const focused = document.activeElement && document.activeElement.id;
      // As did what is typed while the answer is on its way.
      fresh.querySelectorAll("input").forEach((field) => { field.value = (form.elements[field.name] || field).value; });
      document.getElementById("by-country").replaceWith(fresh);
      if (focused && fresh.contains(document.getElementById(focused))) document.getElementById(focused).focus();
    } catch { /* the button is there */ }
  };
  if (country && button) {
    country.addEventListener("change", swap);
    button.hidden = true;
  }

  // What was typed outlives a reload, in this tab only, until it has reached us.
  const key = PREFIX + location.pathname;
  const fields = () => [...form.elements].filter((field) => field.matches("select, textarea, input:not([type=hidden], [type=checkbox], [type=radio], [type=file], [type=password])"));
  form.addEventListener("input", () => store((storage) => {
    storage.setItem(key, JSON.stringify(fields().map((field) => [field.name, field.value])));
  }));
  if (form.dataset.remember !== "empty") return; // as it was sent
  const typed = Object.fromEntries(JSON.parse(store((storage) => storage.getItem(key)) || "[]"));
  const fill = () => fields().forEach((field) => {
    if (typed[field.name]) field.value = typed[field.name];
    const part = field.closest("details");
    if (part && field.value && field.tagName === "INPUT") part.open = true;
  });
  const preset = country && country.value;
  fill();
  if (country && country.value !== preset) swap().then(fill);
})();
