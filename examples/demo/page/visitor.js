// A page of a foreign origin, in a frame of the tour: it opens the stream that its fragment names,
// and says to the page around it what it saw.

const stream = new URL(decodeURIComponent(location.hash.slice(1)));
const say = (what) => parent.postMessage({ what, readyState: source.readyState }, stream.origin);

const source = new EventSource(stream);
source.addEventListener("open", () => say("open"));
source.addEventListener("error", () => say("error"));
