"use strict";
// One room. A line that I say is shown at once, but counts as said only when it comes back
// from the room: until then it is kept, and said again after a new connection. The room
// sends what a newcomer should know, so a line may come twice; its id tells.

const $ = (id) => document.getElementById(id);
const lines = new Map(); // id -> its element
const unsaid = new Map(); // id -> what to send again
let socket = null;
let attempts = 0;
let worker = 0;

$("name").value = localStorage.getItem("name") || "";

function connect() {
  const url = new URL("room", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(url);
  socket.onmessage = (message) => hear(JSON.parse(message.data));
  socket.onclose = comeAgain;
}

// comeAgain waits a random moment, longer with each failure: at a reload everybody in the
// room is sent away at the same time.
function comeAgain() {
  show("reconnecting", false);
  const longest = Math.min(8000, 250 * 2 ** attempts++);
  setTimeout(connect, Math.random() * longest);
}

function hear(event) {
  switch (event.kind) {
    case "welcome":
      attempts = 0;
      if (worker && worker !== event.worker) note("a new worker took over");
      worker = event.worker;
      document.body.dataset.worker = worker;
      (event.lines || []).forEach(write);
      unsaid.forEach((line) => socket.send(JSON.stringify(line)));
      people(event.people);
      break;
    case "said":
      event.lines.forEach(write);
      break;
    case "people":
      people(event.people);
  }
}

function people(n) {
  show(n === 1 ? "nobody else is here" : `${n} people`, true);
}

function show(text, here) {
  $("state").textContent = text;
  $("state").className = here ? "" : "away";
}

// write shows a line, or confirms one of mine.
function write(line) {
  unsaid.delete(line.id);
  if (lines.has(line.id)) {
    lines.get(line.id).classList.remove("waiting");
    return;
  }
  append(line, false);
}

function append(line, mine) {
  const item = document.createElement("li");
  item.classList.toggle("mine", mine);
  item.classList.toggle("waiting", mine);
  const name = document.createElement("b");
  name.textContent = line.name;
  name.style.color = hue(line.name);
  const at = document.createElement("time");
  const when = new Date(line.at);
  at.dateTime = when.toISOString();
  at.textContent = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const text = document.createElement("p");
  text.textContent = line.text;
  item.append(name, at, text);
  lines.set(line.id, item);
  add(item);
}

function note(text) {
  const item = document.createElement("li");
  item.className = "note";
  item.textContent = text;
  add(item);
}

// add scrolls along, unless I am reading further up.
function add(item) {
  const view = document.querySelector("main");
  const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 40;
  $("lines").append(item);
  if (atEnd) view.scrollTop = view.scrollHeight;
}

// hue gives everybody the same colour in every page.
function hue(name) {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return `hsl(${sum} 45% 45%)`;
}

// newID: crypto.randomUUID is missing on a page without https.
function newID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");
}

$("say").onsubmit = (submit) => {
  submit.preventDefault();
  const text = $("text").value.trim();
  if (!text) return;
  const name = $("name").value.trim() || "somebody";
  localStorage.setItem("name", $("name").value.trim());
  const line = { id: newID(), name, text };
  unsaid.set(line.id, line);
  append({ ...line, at: Date.now() }, true);
  $("text").value = "";
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(line));
};

connect();
