// The list of stores asks for newer figures every 15 seconds while somebody looks at it.
"use strict";

(() => {
  const POLL_MS = 15_000;
  const cards = document.getElementById("cards");
  if (cards === null) return;

  const refresh = () => !document.hidden && htmx.trigger(cards, "refresh");
  setInterval(refresh, POLL_MS);
  document.addEventListener("visibilitychange", refresh);
  cards.addEventListener("htmx:responseError", (event) => {
    if (event.detail.xhr.status === 401) window.location.reload();
  });
})();
