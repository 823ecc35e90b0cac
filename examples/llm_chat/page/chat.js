// Asks, and shows the answer as it comes.

import { events } from "./sse-client.js";

const byId = (id) => document.getElementById(id);
let asking = null;

byId("ask").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const prompt = byId("prompt").value.trim();
  if (!prompt || asking) return;
  byId("prompt").value = "";
  ask(prompt);
});
byId("stop").addEventListener("click", () => asking?.abort());

async function ask(prompt) {
  asking = new AbortController();
  busy(true);
  bubble("asked").textContent = prompt;
  const answer = bubble("answer");
  answer.dataset.state = "streaming";
  const text = answer.appendChild(document.createElement("span"));
  try {
    const how = await read(prompt, asking.signal, text);
    finish(answer, how.state, how.note);
  } catch (error) {
    const stopped = error.name === "AbortError";
    finish(answer, stopped ? "stopped" : "failed",
      stopped ? "Stopped. The server has stopped too." : "The connection broke before the answer was done.");
  }
  asking = null;
  busy(false);
  byId("prompt").focus();
}

/** Reads one answer into an element; says how it ended. */
async function read(prompt, signal, text) {
  const reply = await fetch("/chat", {
    method: "POST",
    headers: { "Accept": "text/event-stream", "Content-Type": "application/json" },
    body: JSON.stringify({ prompt }),
    signal,
  });
  if (!reply.ok) {
    const wait = reply.headers.get("Retry-After");
    return { state: "failed", note: `${reply.status}${wait ? `: ask again in ${wait} s` : ""}` };
  }
  for await (const { kind, event, data } of events(reply.body)) {
    // A reconnection time, or an ID to come back with: an answer is not asked for again.
    if (kind !== "event") continue;
    show(event, data);
    if (event === "delta") text.append(JSON.parse(data).text);
    if (event === "error") return { state: "failed", note: JSON.parse(data).error.message };
    if (event === "done") return { state: "done", note: "" };
  }
  // The stream's end alone proves nothing: a proxy may have cut it.
  return { state: "failed", note: "The answer was cut off." };
}

function bubble(kind) {
  const item = document.createElement("li");
  item.className = kind;
  byId("talk").append(item);
  item.scrollIntoView({ block: "end" });
  return item;
}

function finish(answer, state, note) {
  answer.dataset.state = state;
  if (note) answer.appendChild(document.createElement("small")).textContent = note;
  answer.scrollIntoView({ block: "end" });
}

function show(event, data) {
  const line = document.createElement("li");
  line.textContent = `event: ${event}\ndata: ${data}`;
  const wire = byId("wire");
  wire.append(line);
  wire.scrollTop = wire.scrollHeight;
  byId("wire-count").textContent = wire.children.length;
}

function busy(yes) {
  byId("send").disabled = yes;
  byId("stop").disabled = !yes;
}
