// A conversation that lives in this page alone. The answer's text is what the model produced and nothing else: what is
// said about waiting, stopping and errors stands beside it. Without this script the page's plain form does the same.
"use strict";
(() => {
  const form = document.getElementById("ask");
  if (!form || !window.ReadableStream) return;
  const [turns, told, progress, status, elapsed, bar] = ["turns", "told", "progress", "status", "elapsed", "bar"].map(
    (id) => document.getElementById(id),
  );
  const [message, send, stop, anew, keys] = ["message", "send", "stop", "anew", "keys"].map((id) =>
    document.getElementById(id),
  );
  const title = form.dataset.title;
  let state = form.dataset.state;
  const wake = Number(form.dataset.wake) || 0;
  let said = JSON.parse(form.elements.before.value || "[]");
  let leaving = null; // the AbortController of the answer under way
  let timer = 0;
  keys.hidden = false;
  anew.hidden = said.length === 0;

  const about = (seconds) => {
    if (seconds < 1.5) return "a second";
    return seconds < 90 ? `${Math.round(seconds)} seconds` : `${Math.round(seconds / 60)} minutes`;
  };

  const turn = (role, text) => {
    const item = document.createElement("li");
    item.className = `turn said-${role}`;
    const speaker = document.createElement("p");
    speaker.className = "speaker";
    speaker.textContent = role === "user" ? "You" : `${title} produced`;
    const body = document.createElement("div");
    body.className = "exact";
    body.textContent = text;
    item.append(speaker, body);
    turns.append(item);
    return item;
  };

  const ending = (item, text) => {
    const note = document.createElement("p");
    note.className = "ending";
    note.textContent = text;
    item.append(note);
  };

  const wait = (what) => {
    if (!progress.hidden && progress.dataset.what === what) return;
    progress.dataset.what = what;
    window.clearInterval(timer);
    progress.hidden = false;
    elapsed.textContent = "";
    if (what !== "waking") {
      status.textContent = `${title} is awake and has begun to read.`;
      bar.hidden = true;
      return;
    }
    status.textContent = wake
      ? `${title} is asleep and is being woken, which takes about ${about(wake)}.`
      : `${title} is asleep and is being woken; how long that takes has not been measured yet.`;
    bar.hidden = false;
    bar.removeAttribute("value");
    const began = Date.now();
    const tick = () => {
      const seconds = (Date.now() - began) / 1000;
      elapsed.textContent = `${Math.floor(seconds)} s so far${wake && seconds > wake ? ", longer than usual" : ""}`;
      if (wake) {
        bar.max = wake;
        bar.value = Math.min(seconds, wake * 0.97);
      }
    };
    tick();
    timer = window.setInterval(tick, 250);
  };

  const isAwake = () => {
    state = "awake";
    document.getElementById("readiness").textContent = "Awake: it answers at once.";
  };

  const waited = () => {
    window.clearInterval(timer);
    progress.hidden = true;
    progress.dataset.what = "";
  };

  const complain = (error) => {
    const box = document.createElement("p");
    box.className = "banner banner-warn";
    const says = document.createElement("b");
    says.textContent = error.says;
    const code = document.createElement("span");
    code.className = "tag";
    code.textContent = error.code;
    box.append(says, ` ${error.remedy} `, code);
    if (error.ask) {
      const link = document.createElement("a");
      link.href = `/residents/${encodeURIComponent(location.pathname.split("/")[2])}/access`;
      link.textContent = "Ask for access";
      box.append(" ", link);
    }
    told.replaceChildren(box);
  };

  const lines = async function* (body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const whole = rest.split("\n");
      rest = whole.pop();
      for (const line of whole) if (line) yield JSON.parse(line);
    }
  };

  const ask = async () => {
    const text = message.value;
    if (!text.trim() || leaving) return;
    leaving = new AbortController();
    told.replaceChildren();
    send.disabled = true;
    stop.hidden = false;
    anew.hidden = true;
    const asked = [...said, { role: "user", content: text }];
    const question = turn("user", text);
    const item = turn("assistant", "");
    const body = item.querySelector(".exact");
    item.setAttribute("aria-busy", "true"); // read out once it is whole
    item.hidden = true;
    message.value = "";
    let produced = "";
    let end = null;
    let error = null;
    if (state !== "awake") wait("waking");
    try {
      const response = await fetch(form.dataset.answer, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({
          csrf: form.elements.csrf.value,
          messages: asked,
          temperature: Number(form.elements.temperature.value || 1),
          max_tokens: Number(form.elements.max_tokens.value || 256),
        }),
        signal: leaving.signal,
      });
      if (!response.ok) {
        error = (await response.json()).error;
      } else {
        for await (const line of lines(response.body)) {
          if (line.state) wait(line.state);
          if (line.state === "thinking") isAwake();
          if (line.error) error = line.error;
          if (line.end) end = line.end;
          if (line.text) {
            waited();
            item.hidden = false;
            produced += line.text;
            body.textContent = produced;
            if (window.innerHeight + window.scrollY > document.body.scrollHeight - 260) item.scrollIntoView({ block: "end" });
          }
        }
        if (!end && !error) error = { code: "cut-off", says: "The connection ended before the answer did.", remedy: "Send it again." };
      }
    } catch (reason) {
      if (reason.name !== "AbortError") {
        error = { code: "no-connection", says: "The site could not be reached.", remedy: "Check your connection, then send it again." };
      }
    }
    const stopped = leaving.signal.aborted;
    leaving = null;
    waited();
    stop.hidden = true;
    send.disabled = false;
    if (error) complain(error);
    if (produced || (end && !error)) {
      item.hidden = false;
      said = [...asked, { role: "assistant", content: produced }];
      if (stopped) ending(item, "Stopped by you; the model had not finished.");
      else if (error) ending(item, "Broken off; the model had not finished.");
      else if (end.reason === "length") ending(item, `Ended by the longest answer of ${end.tokens} tokens.`);
      item.removeAttribute("aria-busy");
    } else {
      item.remove();
      question.remove();
      message.value = text; // nothing was answered, so nothing is lost
    }
    form.elements.before.value = JSON.stringify(said);
    anew.hidden = said.length === 0;
    message.focus();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  message.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  stop.addEventListener("click", () => leaving && leaving.abort());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && leaving) leaving.abort();
  });
  anew.addEventListener("click", () => {
    said = [];
    turns.replaceChildren();
    told.replaceChildren();
    form.elements.before.value = "[]";
    anew.hidden = true;
    message.focus();
  });
})();
