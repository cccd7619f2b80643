// Keeps a store's page at the newest version.
//
// The socket says which version the store's counts have reached, and nothing else; the page fetches what
// changed as HTML. So a message may be lost, repeated or late: the next one, or the next heartbeat, leads
// to the same page as a reload. Without a socket the page asks every 15 seconds; after a failure it asks
// again, ever more slowly, and says so.
"use strict";

(() => {
  const POLL_MS = 15_000;
  const TICK_MS = 30_000;
  const STALE_MS = 60_000; // the time of day counts too: "so far" moves on without an event
  const SILENCE_MS = 45_000; // the server sends at least every 20 seconds
  const PATIENCE_MS = 2_000; // a shorter interruption is not worth a word
  const FIRST_RETRY_MS = 500;
  const LAST_RETRY_MS = 30_000;
  const NOT_SIGNED_IN = 4401;
  const NOT_FOUND = 4404;

  const store = document.getElementById("store");
  const live = document.getElementById("live");
  const liveText = document.getElementById("live-text");
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const announcement = document.getElementById("announcement");

  let socket = null;
  let connected = false;
  let attempts = 0;
  let retryTimer, silenceTimer, patienceTimer, fetchTimer;
  let reached = null; // the version that the socket named last
  let fetching = false;
  let failures = 0; // fetches in a row that failed, each of which leads to another
  let fetchedAt = Date.now();
  let over = false; // signed out, or the store is gone
  let announced = "";

  const snapshot = () => document.getElementById("snapshot");
  const shown = () => Number(snapshot().dataset.version);

  function say(state, text) {
    live.dataset.state = state;
    store.dataset.state = state;
    if (liveText.textContent !== text) liveText.textContent = text;
  }

  function backOff(attempt) {
    return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt) * (0.5 + Math.random() / 2);
  }

  // --- the page ---

  function refresh() {
    if (fetching || over) return;
    clearTimeout(fetchTimer);
    fetching = true;
    reached = null;
    htmx.trigger(store, "refresh");
  }

  function catchUp() {
    if (!document.hidden && failures === 0 && reached !== null && reached !== shown()) refresh();
  }

  function fetched(event) {
    if (event.target !== store) return;
    fetching = false;
    const status = event.detail.xhr.status;
    if (event.detail.successful) {
      fetchedAt = Date.now();
      failures = 0;
      if (connected) say("live", "Live");
      else say("polling", "Updating every 15 seconds");
      catchUp();
    } else if (status === 401) {
      window.location.reload();
    } else if (status === 404) {
      finish("This store is no longer visible to you");
    } else {
      failed();
    }
  }

  function failed() {
    lost();
    fetchTimer = setTimeout(() => document.hidden || refresh(), backOff(failures++));
  }

  function swapped() {
    sensorapp.setClock(snapshot().dataset.at);
    sensorapp.updateAges();
  }

  function markChanges(event) {
    if (event.target !== store || calm.matches) return;
    const before = new Map([...store.querySelectorAll("[data-figure]")].map((e) => [e.dataset.figure, e.textContent]));
    store.addEventListener(
      "htmx:afterSwap",
      () => {
        for (const figure of store.querySelectorAll("[data-figure]")) {
          if (figure.textContent === before.get(figure.dataset.figure)) continue;
          figure.getAnimations().forEach((animation) => animation.cancel());
          figure.animate([{ color: "var(--accent)" }, {}], { duration: 900, easing: "ease-out" });
        }
      },
      { once: true },
    );
  }

  function announce() {
    const summary = snapshot().dataset.summary;
    if (summary !== announced) announcement.textContent = announced = summary;
  }

  // --- the socket ---

  function connect() {
    clearTimeout(retryTimer);
    if (over || socket !== null) return;
    const address = new URL(store.dataset.socket, window.location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const mine = (socket = new WebSocket(address));
    silenceTimer = setTimeout(drop, SILENCE_MS);
    mine.addEventListener("message", (event) => mine === socket && heard(JSON.parse(event.data)));
    mine.addEventListener("close", (event) => mine === socket && closed(event.code));
  }

  function heard({ version }) {
    clearTimeout(silenceTimer);
    clearTimeout(patienceTimer);
    silenceTimer = setTimeout(drop, SILENCE_MS);
    const back = !connected;
    connected = true;
    attempts = 0;
    reached = version;
    if (failures === 0) say("live", "Live");
    else if (back) refresh();
    catchUp();
  }

  function drop() {
    if (socket === null) return;
    const dead = socket;
    closed(1006);
    dead.close();
  }

  function closed(code) {
    socket = null;
    clearTimeout(silenceTimer);
    if (code === NOT_SIGNED_IN) return window.location.reload();
    if (code === NOT_FOUND) return finish("This store is no longer visible to you");
    if (connected || attempts === 0) {
      clearTimeout(patienceTimer);
      patienceTimer = setTimeout(impatient, PATIENCE_MS);
    }
    connected = false;
    retryTimer = setTimeout(connect, backOff(attempts++));
  }

  function impatient() {
    if (!navigator.onLine) lost();
    else refresh();
  }

  function lost() {
    const reason = connected ? "no new figures" : "connection lost";
    say("lost", `Not live: ${reason}, showing ${snapshot().dataset.clock}; retrying`);
  }

  function finish(text) {
    over = true;
    say("over", text);
    if (socket !== null) socket.close();
  }

  // --- time ---

  function tick() {
    sensorapp.updateAges();
    document.dispatchEvent(new Event("sensorapp:tick"));
    announce();
    if (!document.hidden && connected && Date.now() - fetchedAt > STALE_MS - TICK_MS / 2) refresh();
  }

  function poll() {
    if (!connected && !document.hidden && navigator.onLine) refresh();
  }

  function wake() {
    if (document.hidden) return;
    attempts = 0;
    if (!connected) connect();
    if (failures > 0 || Date.now() - fetchedAt > STALE_MS) refresh();
    else catchUp();
  }

  // What the person opened stays open, and what a script draws stays its own.
  Idiomorph.defaults.callbacks.beforeNodeMorphed = (old) => !(old instanceof Element && old.hasAttribute("data-keep"));
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, element) =>
    !(name === "open" && element instanceof HTMLDetailsElement);

  store.addEventListener("htmx:afterRequest", fetched);
  store.addEventListener("htmx:beforeSwap", markChanges);
  store.addEventListener("htmx:afterSwap", swapped);
  document.addEventListener("visibilitychange", wake);
  window.addEventListener("pageshow", (event) => event.persisted && wake());
  window.addEventListener("online", wake);
  window.addEventListener("offline", () => {
    drop();
    lost();
  });
  setInterval(tick, TICK_MS);
  setInterval(poll, POLL_MS);
  swapped();
  announced = snapshot().dataset.summary;
  connect();
})();
