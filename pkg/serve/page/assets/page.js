// What this adds can be missed: it tells times as they are here, and brings the view up to date when something has changed.
"use strict";
(() => {
  const sameDay = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  const otherDay = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const otherYear = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

  function told(then, now) {
    const minutes = Math.floor((now - then) / 60000);
    if (minutes < 0) return (then.toDateString() === now.toDateString() ? sameDay : otherDay).format(then);
    if (minutes < 1) return "just now";
    if (minutes < 60) return minutes + " min ago";
    if (minutes < 24 * 60) return Math.floor(minutes / 60) + " h ago";
    return (then.getFullYear() === now.getFullYear() ? otherDay : otherYear).format(then);
  }

  function times(root) {
    const now = new Date();
    for (const t of root.querySelectorAll("time")) {
      const then = new Date(t.dateTime);
      if (Number.isNaN(then.getTime())) continue;
      t.title = exact.format(then);
      const text = told(then, now);
      if (t.textContent !== text) t.textContent = text;
    }
  }

  const stream = document.getElementById("stream");
  const say = (text) => { if (stream.textContent !== text) stream.textContent = text; };
  let loading = null;

  // load takes the view from an address and puts it in the place of the one that is shown, where it differs.
  async function load(address) {
    if (loading) loading.abort();
    const mine = loading = new AbortController();
    try {
      const answer = await fetch(address, { credentials: "same-origin", signal: mine.signal });
      const other = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = other.getElementById("main"), main = document.getElementById("main");
      if (!next || mine.signal.aborted) return;
      times(next);
      const foot = other.getElementById("foot"), time = foot && foot.querySelector("p");
      if (time && document.querySelector("#foot p:not(#stream)")) {
        times(foot);
        document.querySelector("#foot p:not(#stream)").replaceWith(document.adoptNode(time));
      }
      document.title = other.title;
      if (next.innerHTML === main.innerHTML) return;
      const focus = document.activeElement, where = main.contains(focus) && focus.getAttribute("href");
      const scrolled = [...main.querySelectorAll(".scroll, pre")].map((e) => [e.scrollLeft, e.scrollTop]);
      main.replaceChildren(...document.adoptNode(next).childNodes);
      main.toggleAttribute("data-live", next.hasAttribute("data-live"));
      [...main.querySelectorAll(".scroll, pre")].forEach((e, i) => { if (scrolled[i]) [e.scrollLeft, e.scrollTop] = scrolled[i]; });
      if (where) main.querySelector(`[href="${CSS.escape(where)}"]`)?.focus({ preventScroll: true });
    } catch (err) {
      if (err.name !== "AbortError") say("It cannot be brought up to date at the moment.");
    } finally {
      if (loading === mine) loading = null;
    }
  }

  const selecting = () => !document.getSelection().isCollapsed;
  const still = () => document.getElementById("main").hasAttribute("data-still"); // a question, or a log
  const refresh = () => { if (!selecting() && !still()) load(location.href); };

  // A tab that nobody sees asks for nothing.
  let events = null;
  function listen() {
    if (document.hidden || events) return;
    events = new EventSource("/events");
    events.addEventListener("changed", refresh);
    events.onopen = () => say("Brought up to date as it changes.");
    events.onerror = () => {
      say("Not up to date: Sentry does not answer. It is asked again.");
      if (events.readyState === EventSource.CLOSED) { leave(); setTimeout(listen, 30000); }
    };
  }
  function leave() {
    if (events) events.close();
    events = null;
  }
  document.addEventListener("visibilitychange", () => document.hidden ? leave() : listen());
  setInterval(() => {
    if (document.hidden) return;
    times(document);
    if (document.getElementById("main").hasAttribute("data-live") && !location.pathname.startsWith("/search")) refresh();
  }, 5000);

  // What is looked for is found as it is written.
  const find = document.getElementById("find"), query = document.getElementById("q");
  let typing = 0;
  query.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const address = "/search?" + new URLSearchParams({ q: query.value });
      if (location.pathname === "/search") history.replaceState(null, "", address);
      else history.pushState(null, "", address);
      shown = address;
      for (const a of document.querySelectorAll("[aria-current]")) a.removeAttribute("aria-current");
      load(address);
    }, 120);
  });
  // A link within the view, such as the one that skips to the content, comes here too.
  let shown = location.pathname + location.search;
  window.addEventListener("popstate", () => { if (location.pathname + location.search !== shown) location.reload(); });

  // What is confirmed is sent once, however often one presses.
  for (const form of document.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", (e) => {
      if (form.dataset.sent) e.preventDefault();
      form.dataset.sent = "yes";
    });
  }
  window.addEventListener("pageshow", () => { for (const form of document.querySelectorAll("form[data-once]")) delete form.dataset.sent; });

  // A log goes on as it comes. What is kept of it is bounded, as the snapshot is.
  const log = document.querySelector("pre.log"), most = 64 << 10;
  if (log && log.dataset.events) {
    const state = document.getElementById("logstate"), lines = new EventSource(log.dataset.events);
    const done = (text) => { lines.close(); state.textContent = text; };
    lines.addEventListener("begin", () => { log.textContent = ""; state.textContent = "As it comes; the last 64 KiB."; });
    lines.addEventListener("end", () => done("The run has ended."));
    lines.addEventListener("trouble", (e) => done("It cannot be read any more: " + e.data));
    lines.onerror = () => { state.textContent = lines.readyState === EventSource.CLOSED ? "It is not told any more: load this again." : "It broke off, and is asked for again."; };
    lines.onmessage = (e) => {
      const below = window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;
      let text = log.textContent + e.data + "\n";
      if (text.length > most) text = text.slice(text.indexOf("\n", text.length - most) + 1);
      log.textContent = text;
      if (below && !selecting()) window.scrollTo(0, document.body.scrollHeight);
    };
  }

  times(document);
  listen();
})();
