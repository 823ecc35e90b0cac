// The operations page: signs in, asks every two seconds, and does what its buttons say.

import { Forbidden, get, isSignedIn, post, useToken, wantsToken } from "./api.js";
import { byId, number, say } from "./element.js";
import { closeLife, openLife, refreshLife, shownStream } from "./life.js";
import { showLists } from "./lists.js";
import { filters, query, showFilters, showStreams } from "./streams.js";

const PERIOD = 2000;

let paused = false;
let timer;
let overview = null;
// The answer to an older question must not be shown over that to a newer one.
let turn = 0;

const act = { open: (connection) => void openLife(connection).catch(fail), end: endStream, filter };

async function look() {
  clearTimeout(timer);
  const mine = (turn += 1);
  try {
    const [all, streams] = await Promise.all([get("overview"), get(query())]);
    if (mine !== turn) return;
    overview = all;
    show(streams);
    await refreshLife(overview.canEnd);
  } catch (error) {
    if (mine === turn) fail(error);
  }
  if (mine === turn && isShown() && !paused && !document.hidden) timer = setTimeout(look, PERIOD);
}

const isShown = () => !byId("content").hidden;

function show(streams) {
  const signedIn = !byId("sign-in").hidden;
  byId("content").hidden = false;
  byId("sign-in").hidden = true;
  byId("pause").hidden = false;
  byId("sign-out").hidden = !isSignedIn();
  showStreams(streams, overview, act);
  showLists(overview, act);
  const state = byId("state");
  state.hidden = false;
  state.dataset.tone = paused ? "info" : "good";
  say(state, paused ? "paused" : "live");
  const banner = byId("banner");
  const news = [
    overview.draining && "This node drains: it lets no new stream in, and ends those that are open.",
    overview.backplane === false && "The backplane does not answer: events of other nodes do not arrive.",
    !overview.canEnd && "This page only shows: to end streams with it, mount it with a token.",
  ].filter(Boolean);
  banner.hidden = news.length === 0;
  say(banner, news.join(" "));
  if (signedIn) byId("streams-title").focus({ preventScroll: true });
}

function fail(error) {
  if (error instanceof Forbidden) {
    const why = error.wantsToken ? "The server does not take this token." : `Nothing is shown here: ${error.message}.`;
    askForToken(isSignedIn() || !error.wantsToken ? why : "");
    return;
  }
  const state = byId("state");
  state.hidden = false;
  state.dataset.tone = "bad";
  say(state, "no answer");
}

function askForToken(why) {
  useToken(null);
  clearTimeout(timer);
  closeLife();
  byId("confirm").close();
  for (const id of ["content", "state", "pause", "sign-out"]) byId(id).hidden = true;
  byId("sign-in").hidden = false;
  document.title = "Event streams: operations";
  say(byId("node-line"), "Operations");
  // What was shown is not for whoever sits here next.
  for (const id of ["rows", "refusals", "reasons", "origins", "ended", "by-route", "by-origin", "by-user", "filters"]) byId(id).replaceChildren();
  for (const id of ["said", "confirm-text", "banner", "shown"]) say(byId(id), "");
  filters.clear();
  say(byId("sign-in-error"), why);
  byId("token").focus();
}

byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = byId("token");
  say(byId("sign-in-error"), "");
  useToken(field.value.trim());
  field.value = "";
  void look();
});

byId("sign-out").addEventListener("click", () => {
  turn += 1;
  askForToken("");
});

byId("pause").addEventListener("click", () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  void look();
});

byId("sort").addEventListener("change", () => void look());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && isShown() && !paused) void look();
});

// Filters

function filter(kind, value) {
  if (filters.get(kind) === value) filters.delete(kind);
  else filters.set(kind, value);
  filtersChanged();
}

function filtersChanged() {
  showFilters(overview.canEnd, filtersChanged, endUser);
  void look();
}

// Actions

let confirmed = null;

function confirm(title, text, button, action) {
  confirmed = action;
  say(byId("confirm-title"), title);
  say(byId("confirm-text"), text);
  say(byId("confirm-yes"), button);
  byId("confirm").showModal();
  byId("confirm-no").focus();
}

byId("confirm-no").addEventListener("click", () => byId("confirm").close());
byId("confirm-yes").addEventListener("click", () => {
  byId("confirm").close();
  const action = confirmed;
  confirmed = null;
  void action?.().catch(fail);
});

function endStream({ connection, user, address, route }) {
  const whose = user === null ? "an anonymous client" : user;
  const text = `The stream of ${whose}, ${address ?? "without an address"}, on ${route} ends at once.`;
  confirm("End this stream?", text, "End the stream", async () => {
    const { ended } = await post(`streams/${connection}/end`);
    await done(ended > 0 ? `The stream of ${whose} has ended.` : "That stream had ended already.");
  });
}

function endUser(user) {
  const text = `All streams of ${user} end at once, on every node that shares a backplane.`;
  confirm("End all streams of this user?", text, "End all", async () => {
    const { ended } = await post("users/end", { user });
    await done(`${number(ended)} ${ended === 1 ? "stream" : "streams"} of ${user} on this node ended.`);
  });
}

async function done(text) {
  say(byId("said"), text);
  setTimeout(() => {
    if (byId("said").textContent === text) say(byId("said"), "");
  }, 8000);
  const had = document.activeElement;
  await look();
  // What had the focus may have gone with the stream.
  if (!byId("life").open && (had === document.body || !document.contains(had))) byId("streams-title").focus();
}

byId("life-close").addEventListener("click", closeLife);
byId("life").addEventListener("cancel", closeLife);
byId("life-end").addEventListener("click", () => endStream(shownStream()));
byId("life-end-user").addEventListener("click", () => endUser(shownStream().user));

// Light or dark

const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
};
byId("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
});

async function start() {
  if (!isSignedIn() && (await wantsToken())) askForToken("");
  else await look();
}

void start().catch(fail);
