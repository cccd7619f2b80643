// Ages ("42 min") grow without a word from the server. Its clock counts, not the one of this device.
"use strict";

window.sensorapp = (() => {
  let serverAhead = 0;

  function now() {
    return Date.now() + serverAhead;
  }

  function setClock(at) {
    serverAhead = Date.parse(at) - Date.now();
  }

  // The same words as age_text in templatetags/figures.py.
  function ageText(milliseconds) {
    const minutes = Math.floor(milliseconds / 60_000);
    if (minutes < 1) return "less than 1\u00a0min";
    if (minutes < 60) return `${minutes}\u00a0min`;
    if (minutes < 48 * 60) return `${Math.floor(minutes / 60)}\u00a0h`;
    return `${Math.floor(minutes / (24 * 60))}\u00a0days`;
  }

  function updateAges() {
    for (const time of document.querySelectorAll("time[data-age]")) {
      time.textContent = ageText(now() - Date.parse(time.dateTime));
    }
  }

  return { now, setClock, updateAges };
})();
