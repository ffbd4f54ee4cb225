"use strict";
// The chat page: one conversation, streamed from /v1/chat/completions. What the model says is only ever set as textContent.
(() => {
  const $ = (id) => document.getElementById(id);
  const el = Object.fromEntries(
    ["model", "settings-toggle", "settings", "clear", "system", "temperature", "max-tokens", "key", "notice", "log", "empty",
     "compose", "input", "send", "stop", "stats"].map((id) => [id, $(id)]));
  const conversation = [];  // {role, content} as sent to the server
  let chat = 0;             // counts "New chat": an answer to an older one is dropped
  let running = null;       // AbortController of the answer being streamed
  let retry = 0;            // timer of the next look at a server that is not ready

  // --- settings: the key lives in this tab only --------------------------------------------------
  const kept = { key: "vllm-key", system: "vllm-system", temperature: "vllm-temperature", "max-tokens": "vllm-max-tokens" };
  for (const [id, name] of Object.entries(kept)) {
    try { el[id].value = sessionStorage.getItem(name) || ""; } catch { /* storage is switched off: the field still works */ }
    el[id].addEventListener("input", () => {
      try { sessionStorage.setItem(name, el[id].value); } catch { /* as above */ }
    });
  }
  el.key.addEventListener("change", () => loadModels());
  el.settings.addEventListener("submit", (event) => event.preventDefault());

  function showSettings(open) {
    el.settings.hidden = !open;
    el["settings-toggle"].setAttribute("aria-expanded", String(open));
  }
  el["settings-toggle"].addEventListener("click", () => showSettings(el.settings.hidden));

  function headers(json) {
    const result = {};
    if (json) result["Content-Type"] = "application/json";
    if (el.key.value) result.Authorization = "Bearer " + el.key.value;
    return result;
  }

  function notice(text, bad) {
    el.notice.hidden = !text;
    el.notice.className = bad ? "bad" : "";
    el.notice.textContent = text || "";
  }

  // --- errors ------------------------------------------------------------------------------------
  class ServerError extends Error {
    constructor(status, message) {
      super(message);
      this.status = status;
    }
  }

  // The server's own words: {"error": {"message"}}, {"error": "Unauthorized"} or plain text.
  async function serverError(response) {
    let message = "";
    try {
      const text = await response.text();
      message = text.slice(0, 2000);
      const body = JSON.parse(text);
      message = (body.error && body.error.message) || body.error || body.message || message;
    } catch { /* not JSON: the text as it is */ }
    return new ServerError(response.status, String(message || response.statusText || "no reason given"));
  }

  function explain(error) {
    if (error.name === "AbortError") return "";
    if (error.status === 401 || error.status === 403) return "The server wants an API key. Enter it under Settings.";
    if (error.status === 503) return "The server is not ready: " + error.message;
    if (error.status) return "Error " + error.status + ": " + error.message;
    if (error instanceof TypeError) return "The server cannot be reached.";
    return error.message;
  }

  function report(error) {
    notice(explain(error), error.status !== 503);
    if (error.status === 401 || error.status === 403) {
      showSettings(true);
      el.key.focus();
    }
  }

  // --- models: asked for until the server is ready --------------------------------------------------
  async function loadModels() {
    clearTimeout(retry);
    try {
      const response = await fetch("v1/models", { headers: headers(false) });
      if (!response.ok) throw await serverError(response);
      const models = (await response.json()).data.map((m) => m.id);
      const before = el.model.value;
      el.model.replaceChildren(...models.map((id) => new Option(id, id)));
      if (models.includes(before)) el.model.value = before;
      el.model.disabled = models.length === 0;
      notice("");
      update();
    } catch (error) {
      el.model.disabled = true;
      report(error);
      if (error.status === 503 || !error.status) retry = setTimeout(loadModels, 2000);
      update();
    }
  }

  // --- the conversation on the page ---------------------------------------------------------------------
  function atBottom() {
    return el.log.scrollHeight - el.log.scrollTop - el.log.clientHeight < 60;
  }

  function addTurn(role, text) {
    el.empty.hidden = true;
    const turn = document.createElement("article");
    turn.className = "turn " + role;
    turn.setAttribute("aria-label", role === "user" ? "You" : "Model");
    const body = document.createElement("div");
    body.className = "text";
    body.textContent = text;
    const note = document.createElement("div");
    note.className = "note";
    turn.append(body, note);
    el.log.append(turn);
    el.log.scrollTop = el.log.scrollHeight;
    return { turn, body, note, thought: null };
  }

  function thoughtOf(shown) {
    if (!shown.thought) {
      const details = document.createElement("details");
      details.className = "thought";
      details.open = true;
      const summary = document.createElement("summary");
      summary.textContent = "Thinking";
      shown.thought = document.createElement("div");
      shown.thought.className = "text";
      details.append(summary, shown.thought);
      shown.turn.insertBefore(details, shown.body);
    }
    return shown.thought;
  }

  function update() {
    const busy = running !== null;
    el.send.hidden = busy;
    el.stop.hidden = !busy;
    el.send.disabled = el.model.disabled || !el.input.value.trim();
    el.clear.disabled = conversation.length === 0 && !busy;
    el.input.style.height = "auto";
    el.input.style.height = Math.min(el.input.scrollHeight + 2, window.innerHeight * 0.35) + "px";
  }

  // --- server-sent events ---------------------------------------------------------------------------------
  // Yields the data of each event; lines may be cut anywhere, also inside a character.
  async function* events(stream) {
    const reader = stream.getReader();
    const decoder = new TextDecoder();
    let rest = "";
    let data = [];
    try {
      for (;;) {
        const { done, value } = await reader.read();
        rest += done ? decoder.decode() + "\n\n" : decoder.decode(value, { stream: true });
        const lines = rest.split("\n");
        rest = lines.pop();
        for (let line of lines) {
          if (line.endsWith("\r")) line = line.slice(0, -1);
          if (line.startsWith("data:")) {
            data.push(line.slice(line[5] === " " ? 6 : 5));
          } else if (line === "" && data.length) {
            yield data.join("\n");
            data = [];
          }
        }
        if (done) return;
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  function requestBody() {
    const messages = [];
    if (el.system.value.trim()) messages.push({ role: "system", content: el.system.value });
    messages.push(...conversation);
    const body = { model: el.model.value, messages, stream: true, stream_options: { include_usage: true } };
    if (el.temperature.value !== "" && el.temperature.validity.valid) body.temperature = Number(el.temperature.value);
    if (el["max-tokens"].value !== "" && el["max-tokens"].validity.valid) body.max_tokens = Number(el["max-tokens"].value);
    return body;
  }

  // On a touch screen Enter makes a new line and the keyboard stays down until it is asked for.
  const touch = () => window.matchMedia("(pointer: coarse)").matches;
  const seconds = (ms) => (ms < 1000 ? Math.round(ms) + " ms" : (ms / 1000).toFixed(2) + " s");

  // Times are the reader's: from the click, so they hold the network too.
  function statistics(timing) {
    if (!timing.first) return "waiting for the first token … " + seconds(performance.now() - timing.start);
    const tokens = timing.tokens || timing.chunks;
    const span = timing.last - timing.first;
    const parts = ["TTFT " + seconds(timing.first - timing.start), tokens + (tokens === 1 ? " token" : " tokens")];
    if (tokens > 1 && span > 0) parts.push(((tokens - 1) * 1000 / span).toFixed(1) + " tokens/s");
    if (timing.prompt) parts.push("prompt " + timing.prompt);
    return parts.join(" · ");
  }

  async function answer() {
    const control = new AbortController();
    const mine = chat;
    running = control;
    notice("");
    const shown = addTurn("assistant", "");
    shown.turn.classList.add("busy");
    const timing = { start: performance.now(), first: 0, last: 0, chunks: 0, tokens: 0, prompt: 0 };
    const clock = setInterval(() => { el.stats.textContent = statistics(timing); }, 100);
    update();
    let text = "";
    let reason = "";
    let ended = false;
    let stay = true;  // at the bottom when the last piece came
    try {
      const response = await fetch("v1/chat/completions", {
        method: "POST", headers: headers(true), body: JSON.stringify(requestBody()), signal: control.signal,
      });
      if (!response.ok) throw await serverError(response);
      for await (const data of events(response.body)) {
        if (data === "[DONE]") {
          ended = true;
          break;
        }
        const chunk = JSON.parse(data);
        if (chunk.error) throw new ServerError(chunk.error.code || 500, chunk.error.message || String(chunk.error));
        if (chunk.usage) {
          timing.tokens = chunk.usage.completion_tokens;
          timing.prompt = chunk.usage.prompt_tokens;
        }
        const choice = chunk.choices && chunk.choices[0];
        if (!choice) continue;
        const delta = choice.delta || {};
        const thought = delta.reasoning || delta.reasoning_content || "";
        if (delta.content || thought) {
          stay = atBottom();
          timing.last = performance.now();
          timing.first = timing.first || timing.last;
          timing.chunks += 1;
          if (thought) thoughtOf(shown).textContent += thought;
          if (delta.content) {
            text += delta.content;
            shown.body.append(document.createTextNode(delta.content));  // text node: never parsed as HTML
          }
          if (stay) el.log.scrollTop = el.log.scrollHeight;
        }
        if (choice.finish_reason) reason = choice.finish_reason;
      }
      if (mine !== chat) return;
      if (!ended && !reason) throw new Error("The connection was cut before the answer ended.");
      if (reason === "length") shown.note.textContent = "Cut off: the token limit was reached.";
    } catch (error) {
      if (error.name === "AbortError") {
        shown.note.textContent = "Stopped.";
      } else {
        if (!text) shown.turn.classList.add("failed");
        shown.note.textContent = explain(error);
        report(error);
        if (error.status === 503) loadModels();
      }
    } finally {
      clearInterval(clock);
      shown.turn.classList.remove("busy");
      shown.body.normalize();
      if (stay) el.log.scrollTop = el.log.scrollHeight;
      if (running === control) running = null;
      if (mine === chat) {
        el.stats.textContent = timing.first ? statistics(timing) : "";
        if (text) {
          conversation.push({ role: "assistant", content: text });
        } else {  // nothing came: the question leaves the conversation and can be sent again
          const question = conversation.pop();
          if (question && !el.input.value) el.input.value = question.content;
        }
      }
      update();
      if (!touch()) el.input.focus();
    }
  }

  // --- what the reader does -----------------------------------------------------------------------------------
  function send() {
    const text = el.input.value.trim();
    if (!text || running || el.model.disabled) return;
    conversation.push({ role: "user", content: text });
    addTurn("user", text);
    el.input.value = "";
    answer();
  }

  el.compose.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  el.input.addEventListener("input", update);
  el.input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !touch()) {
      event.preventDefault();
      send();
    }
  });
  el.stop.addEventListener("click", () => running && running.abort());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && running) running.abort();
  });
  el.clear.addEventListener("click", () => {
    if (running) running.abort();
    running = null;
    chat += 1;
    conversation.length = 0;
    el.log.replaceChildren(el.empty);
    el.empty.hidden = false;
    el.stats.textContent = "";
    notice("");
    update();
    el.input.focus();
  });

  update();
  loadModels();
})();
