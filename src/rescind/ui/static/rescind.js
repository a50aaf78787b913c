// What pages do beyond HTML: they go on by themselves, ask in a dialog, and hear keys. Without it
// everything works by links and forms.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const notice = byId("notice");
  const live = byId("live");

  // Live: one stream while the page can be seen. Its events have the regions that have changed.

  let stream = null;
  let again = 0;
  let pressed = false;
  const waiting = new Map();

  function tell(text, link) {
    notice.replaceChildren(text);
    if (link) {
      const way = document.createElement("a");
      way.href = location.href;
      way.textContent = link;
      notice.append(" ", way);
    }
    notice.hidden = false;
  }

  function place(id, html) {
    const region = byId(id);
    if (!region) return;
    const focused = region.contains(document.activeElement) ? document.activeElement.id : "";
    const ticked = [...region.querySelectorAll("input:checked")].map((box) => box.id);
    const scrolled = [...region.querySelectorAll("pre.log")].map((log) =>
      log.scrollTop + log.clientHeight >= log.scrollHeight - 4 ? Infinity : log.scrollTop);
    region.innerHTML = html;
    region.querySelectorAll("pre.log").forEach((log, at) => { log.scrollTop = scrolled[at] ?? 0; });
    for (const id of ticked) if (byId(id)) byId(id).checked = true;
    if (focused && byId(focused)) byId(focused).focus({ preventScroll: true });
    arrange();
  }

  function placeAll() {
    // A button that is pressed must still be there when it is let go.
    if (pressed) return;
    for (const [id, html] of waiting) place(id, html);
    waiting.clear();
  }

  function watch() {
    if (document.hidden || stream) return;
    stream = new EventSource(location.pathname + location.search);
    stream.addEventListener("open", () => { live.hidden = false; live.textContent = "Live"; });
    stream.addEventListener("regions", (event) => {
      for (const [id, html] of Object.entries(JSON.parse(event.data))) waiting.set(id, html);
      placeAll();
    });
    stream.addEventListener("refused", (event) => over(JSON.parse(event.data)));
    stream.addEventListener("over", () => over("You are signed out, or your permissions have changed."));
    stream.addEventListener("error", () => {
      live.hidden = false;
      live.textContent = "Not live: trying again";
      if (stream.readyState !== EventSource.CLOSED) return;
      unwatch(); // it was refused, as by a service that is about to end: another may take its place
      again = setTimeout(watch, 3000);
    });
  }

  function unwatch() {
    clearTimeout(again);
    if (stream) stream.close();
    stream = null;
  }

  function over(why) {
    unwatch();
    live.textContent = "Not live";
    document.removeEventListener("visibilitychange", seen);
    tell(why, "Load it anew");
  }

  function seen() {
    if (document.hidden) unwatch(); else watch();
  }

  function length(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    if (whole < 86400) return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
    return `${Math.floor(whole / 86400)} d ${Math.floor(whole % 86400 / 3600)} h`;
  }

  function tick() {
    for (const one of document.querySelectorAll(".elapsed")) {
      one.textContent = length((Date.now() - Number(one.dataset.since)) / 1000);
    }
  }

  if (document.body.hasAttribute("data-live")) {
    document.addEventListener("pointerdown", () => { pressed = true; });
    for (const end of ["pointerup", "pointercancel"]) {
      document.addEventListener(end, () => { pressed = false; setTimeout(placeAll); });
    }
    document.addEventListener("visibilitychange", seen);
    addEventListener("pagehide", unwatch);
    addEventListener("pageshow", seen);
    setInterval(tick, 1000);
    watch();
  }

  // Jobs that are selected.

  const boxes = () => [...document.querySelectorAll("#rows input[name=id]")];

  function arrange() {
    const all = byId("select-all");
    if (!all) return;
    all.removeAttribute("name"); // each job is ticked by itself
    const some = boxes().filter((box) => box.checked).length;
    all.checked = some > 0 && some === boxes().length;
    all.indeterminate = some > 0 && !all.checked;
    byId("selected").textContent = some
      ? `${some.toLocaleString("en-US")} selected, on this page only` : "";
  }

  document.addEventListener("change", (event) => {
    if (event.target.id === "select-all") {
      for (const box of boxes()) box.checked = event.target.checked;
    }
    arrange();
  });
  arrange();

  // The question before a cancel, as a dialog above the page.

  async function ask(form, button) {
    const body = new URLSearchParams(new FormData(form, button));
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const dialog = page.getElementById("ask");
    if (!dialog) {
      const why = page.querySelector("main [role=alert]");
      if (why) tell(why.textContent); else location.reload();
      return;
    }
    byId("ask")?.remove();
    document.body.append(dialog);
    dialog.open = false;
    dialog.addEventListener("close", () => { dialog.remove(); button.focus(); });
    dialog.querySelector(".keep").addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.close();
    });
    notice.hidden = true;
    dialog.showModal();
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("#jobs, .asks")) {
      event.preventDefault();
      ask(form, event.submitter).catch(() => tell("The service does not answer; nothing was done."));
    }
  });

  // Filters that say nothing do not stand in the address.

  document.addEventListener("formdata", (event) => {
    if (!event.target.classList.contains("filter")) return;
    for (const [name, value] of [...event.formData]) {
      if (value === "" || (name.startsWith("not_") && !event.formData.get(name.slice(4)))) {
        event.formData.delete(name);
      }
    }
  });

  // Keys.

  const rows = () => [...document.querySelectorAll("#rows tbody tr")];

  function current() {
    return rows().find((row) => row.contains(document.activeElement));
  }

  function step(by) {
    const all = rows();
    const at = all.indexOf(current());
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    next?.querySelector("a")?.focus();
  }

  function tickCurrent() {
    const box = current()?.querySelector("input[name=id]");
    if (box) { box.checked = !box.checked; arrange(); }
  }

  function press(...ids) {
    ids.map(byId).find((button) => button)?.click();
  }

  function cancel() {
    if (byId("cancel-selected") && !boxes().some((box) => box.checked)) tickCurrent();
    press("cancel-selected", "cancel-job");
  }

  const keys = {
    "/": () => byId("title")?.focus(),
    "j": () => step(1),
    "k": () => step(-1),
    "x": tickCurrent,
    "a": () => byId("select-all")?.click(),
    "c": cancel,
    "A": () => press("cancel-all"),
    "u": () => press("undo"),
    "s": () => press("start-now"),
    "r": () => press("run-again"),
    "?": () => byId("keys")?.showModal(),
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
    const elsewhere = document.querySelector("dialog:modal");
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape" && typing && !elsewhere) event.target.blur();
    if (typing || elsewhere || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  const show = byId("show-keys");
  if (show && byId("keys")) {
    show.hidden = false;
    show.addEventListener("click", () => byId("keys").showModal());
  }
})();
