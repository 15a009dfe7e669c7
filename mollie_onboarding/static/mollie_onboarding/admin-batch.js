// The progress of a batch moves without a reload of the page. Without this file the page reloads itself.
(() => {
  "use strict";
  const PAUSE = 2_000; // milliseconds
  const LONGEST_PAUSE = 30_000; // where nothing moves
  const page = document.getElementById("batch");
  const bar = document.getElementById("batch-bar");
  const text = document.getElementById("batch-share");
  const waiting = document.getElementById("batch-waiting");
  const late = document.getElementById("late");
  let pause = PAUSE;
  let timer;

  // What became of each merchant: as the page would say it now.
  const refresh = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("items");
    if (!fresh) return;
    const shown = document.getElementById("items");
    // Whoever walks through the table with the keyboard stays where they are.
    const focused = shown.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    shown.replaceWith(fresh);
    if (focused) fresh.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  };

  const show = async (progress) => {
    const hasMoved = bar.value !== progress.done;
    pause = hasMoved ? PAUSE : Math.min(pause * 1.2, LONGEST_PAUSE);
    bar.max = progress.total;
    bar.value = progress.done;
    text.textContent = progress.text;
    if (waiting) waiting.textContent = progress.waiting;
    late.textContent = progress.late;
    late.hidden = !progress.late;
    page.querySelectorAll("[data-outcome]").forEach((number) => {
      number.textContent = progress.outcomes[number.dataset.outcome];
    });
    // Other buttons, and the reasons.
    if (!progress.is_running) location.reload();
    else if (hasMoved) await refresh();
    return progress.is_running;
  };

  const look = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    let isRunning = true;
    try {
      const answer = await fetch(page.dataset.progress, { credentials: "same-origin", redirect: "error" });
      if (answer.status >= 400 && answer.status < 500) return; // logged out, or deleted
      isRunning = await show(await answer.json());
    } catch { /* no network: what is here stays */ }
    if (isRunning) timer = setTimeout(look, pause);
  };

  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, PAUSE);
})();
