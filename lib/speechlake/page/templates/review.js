"use strict";
(() => {
  const about = document.getElementById("review").dataset;
  const cards = [...document.querySelectorAll(".card")];
  const strip = document.getElementById("strip");
  const reviewer = document.getElementById("reviewer");
  const save = document.getElementById("save");
  const memory = `speechlake-review/${about.memory}`;
  let current = 0;
  let answers = {};

  // A browser may refuse to remember anything for a file; then answers last as long as the page is open.
  const recall = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* not remembered */ } };

  const id = (n) => cards[n].dataset.utterance_id;
  const player = (n) => cards[n].querySelector("audio");
  const unanswered = (from) => {
    for (let i = 0; i < cards.length; i++) {
      const n = (from + i) % cards.length;
      if (!answers[id(n)]) return n;
    }
    return -1;
  };

  function draw() {
    cards.forEach((card, n) => {
      const said = answers[id(n)]?.verdict ?? "";
      card.hidden = n !== current;
      strip.children[n].dataset.verdict = said;
      strip.children[n].setAttribute("aria-current", String(n === current));
      card.querySelectorAll(".keys button").forEach((button) =>
        button.setAttribute("aria-pressed", String(button.dataset.verdict === said)));
    });
    const done = Object.keys(answers).length;
    document.getElementById("where").textContent = `clip ${current + 1} of ${cards.length}`;
    document.getElementById("done").textContent = `${done} answered`;
    save.disabled = done === 0;
  }

  function show(n, play) {
    if (n < 0 || n >= cards.length) return;
    player(current)?.pause();
    current = n;
    draw();
    // Only the clip that is shown is decoded, so that its length stands there.
    player(n)?.setAttribute("preload", "metadata");
    if (play) player(n)?.play().catch(() => { /* the browser wants a click first */ });
  }

  function answer(verdict) {
    const card = cards[current].dataset;
    answers[card.utterance_id] = {
      utterance_id: card.utterance_id,
      verdict,
      rule: about.rule,
      asked: card.asked ?? null,
      sample: card.sample,
      decision: card.decision,
      stratum: card.stratum,
      population: Number(card.population),
      value: card.value ?? null,
      reviewer: reviewer.value.trim() || null,
      at: new Date().toISOString(),
    };
    remember(memory, JSON.stringify(answers));
    const next = unanswered(current + 1);
    if (next >= 0) show(next, true); else draw();
  }

  function download() {
    const lines = cards.map((card) => answers[card.dataset.utterance_id]).filter(Boolean);
    const name = reviewer.value.trim() || null;
    const asked = Object.fromEntries(cards.map(({ dataset }) => [dataset.utterance_id, dataset.asked ?? null]));
    // Answers that the browser kept from an older page do not tell what was asked.
    const whole = (line) => ({ ...line, asked: line.asked ?? asked[line.utterance_id], reviewer: line.reviewer ?? name });
    const text = lines.map((line) => JSON.stringify(whole(line)) + "\n").join("");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
    link.download = about.file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function toggle() {
    const sound = player(current);
    if (sound) sound.paused ? sound.play() : sound.pause();
  }

  function restart() {
    const sound = player(current);
    if (sound) { sound.currentTime = 0; sound.play(); }
  }

  const keys = {
    " ": toggle,
    r: restart,
    n: () => { const next = unanswered(current + 1); if (next >= 0) show(next, true); },
    b: () => document.body.classList.toggle("blind"),
    ArrowLeft: () => show(current - 1, true),
    ArrowRight: () => show(current + 1, true),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.getModifierState("AltGraph")) return;
    if (event.target === reviewer) return;
    // On a keyboard of another script the key counts by its place.
    const isOther = /^Key[A-Z]$/.test(event.code) && /^(?!\p{Script=Latin})\p{L}$/u.test(event.key);
    const place = isOther ? event.code.slice(3) : event.key;
    const key = place.length === 1 ? place.toLowerCase() : place;
    const verdict = cards[current].querySelector(`.keys button[data-key="${CSS.escape(key)}"]`);
    const act = verdict ? () => answer(verdict.dataset.verdict) : keys[key];
    // Holding a key down would answer clips that nobody heard.
    if (!act || event.repeat) return;
    event.preventDefault();
    act();
  });

  cards.forEach((card, n) => {
    const dot = document.createElement("button");
    dot.title = `clip ${n + 1}`;
    dot.addEventListener("click", () => { show(n, true); dot.blur(); });
    strip.append(dot);
    card.querySelectorAll(".keys button").forEach((button) =>
      button.addEventListener("click", () => { answer(button.dataset.verdict); button.blur(); }));
  });
  save.addEventListener("click", () => { download(); save.blur(); });
  reviewer.value = recall("speechlake-reviewer") ?? "";
  reviewer.addEventListener("change", () => remember("speechlake-reviewer", reviewer.value.trim()));
  try { answers = JSON.parse(recall(memory) ?? "{}"); } catch { answers = {}; }
  const known = new Set(cards.map((card) => card.dataset.utterance_id));
  answers = Object.fromEntries(Object.entries(answers).filter(([key]) => known.has(key)));
  if (cards.length) show(Math.max(0, unanswered(0)), false);
})();
