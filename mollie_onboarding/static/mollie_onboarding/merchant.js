// Niceties. Every page works the same without this file.
(() => {
  "use strict";
  const PREFIX = "mollie-onboarding:";
  const PATIENCE = 10_000; // milliseconds until a button may be pressed again
  const MEMORY = 60 * 60_000; // milliseconds for which a form is remembered
  const status = document.querySelector("main")?.dataset.status;
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
    const watched = document.querySelector("[data-watch]");
    if (document.hidden || !watched) return;
    try {
      const page = await load();
      const found = page.querySelector("[data-watch]");
      const hasMoved = found ? found.dataset.watch !== watched.dataset.watch : page.querySelector("main[data-status]");
      if (hasMoved) location.replace(location.pathname + location.search);
    } catch { /* no network: what is here stays */ }
  };
  document.addEventListener("visibilitychange", look);
  if (status === "finishing") setInterval(look, 3000);
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return; // not as it was left
    document.querySelectorAll("form").forEach(release);
    look();
  });

  // The memory of forms: of this tab only. A browser that blocks storage throws when it is touched.
  const store = (action) => { try { return action(sessionStorage); } catch { return null; } };
  const forget = (isOver) => store((storage) => {
    Object.keys(storage).filter((key) => key.startsWith(PREFIX) && isOver(key)).forEach((key) => storage.removeItem(key));
  });
  const recall = (key) => {
    const { at, value } = JSON.parse(store((storage) => storage.getItem(key))) || {};
    return Date.now() - at < MEMORY ? value : null;
  };
  const note = (key, value) => store((storage) => storage.setItem(key, JSON.stringify({ at: Date.now(), value })));
  if (!form) {
    // It has reached us; only which form it was is kept, for whoever comes back to it from Mollie.
    if (status && !["error", "expired", "cancelled"].includes(status)) forget((key) => !key.endsWith(":nonce"));
    return;
  }

  // What depends on the country follows it at once. Without a script its button does that.
  const country = form.elements.country;
  const isText = (field) => field.matches("textarea, select:not([multiple]), input:not([type=hidden], [type=checkbox], [type=radio], [type=file], [type=password])")
    && form.elements[field.name] === field;
  const swap = async () => {
    const data = new FormData(form);
    data.set("choose_country", "1");
    try {
      const fresh = (await load({ method: "POST", body: data })).getElementById("by-country");
      const old = document.getElementById("by-country");
      if (!fresh || data.get("country") !== country.value) return; // it changed once more meanwhile
      // Somebody may have gone on meanwhile: in a field, or by opening a part.
      const { id: focused, selectionStart: start, selectionEnd: end } = old.contains(document.activeElement) ? document.activeElement : {};
      const values = new Map([...form.elements].filter((field) => old.contains(field) && isText(field)).map((field) => [field.id, field.value]));
      const isOpen = [...old.querySelectorAll("details")].map((part) => part.open);
      old.replaceWith(fresh);
      fresh.querySelectorAll("details").forEach((part, index) => { part.open ||= Boolean(isOpen[index]); });
      values.forEach((value, id) => {
        const field = document.getElementById(id);
        if (field && (field.tagName !== "SELECT" || [...field.options].some((option) => option.value === value))) field.value = value;
      });
      const field = focused && document.getElementById(focused);
      field?.focus();
      if (typeof start === "number") field?.setSelectionRange(start, end); // else whoever types goes on at the front
    } catch { /* its button is there */ }
  };
  if (country && form.querySelector("[data-country-button]")) country.addEventListener("change", swap);

  // What was typed outlives a reload until it has reached us. The key is that of this person and this merchant.
  const key = PREFIX + form.dataset.remember;
  forget((other) => !other.startsWith(key));
  const fields = () => [...form.elements].filter(isText);
  form.addEventListener("input", (event) => {
    if (isText(event.target)) note(key, { ...recall(key), [event.target.name]: event.target.value });
  });
  const nonce = form.elements.nonce;
  form.addEventListener("submit", () => note(`${key}:nonce`, nonce?.value));
  if (form.dataset.sentBefore) return;

  // Back from Mollie to the form: it is the same one, and makes no second merchant.
  const cameBack = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  if (cameBack && nonce && recall(`${key}:nonce`)) nonce.value = recall(`${key}:nonce`);
  const typed = recall(key) || {};
  if (new URLSearchParams(location.search).has("country")) delete typed.country;
  const fill = () => fields().forEach((field) => {
    if (typed[field.name]) field.value = typed[field.name];
    if (typed[field.name]) field.closest("details")?.setAttribute("open", "");
  });
  const preset = country?.value;
  fill();
  if (country && country.value !== preset) swap().then(fill);
})();
