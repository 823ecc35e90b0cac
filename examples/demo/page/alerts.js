// The alerts that the tour's incidents lead to, in words, and whether their condition holds.
//
// The rules look at minutes and hours of a fleet; the page has seen its own incidents only, and says
// so. `since(ms)` has the sums of what this page's incidents counted within that time.

import { by, total } from "./metrics.js";

const MINUTE = 60_000;
const of = (count, least) => `${count.toLocaleString("en")} of more than ${least}`;

export const ALERTS = {
  foreign: {
    name: "SSERejectedOriginSpike",
    // settings: rejected_origin: 10
    // settings: rejected_origin_times: 5
    words: "Within 15 minutes more than 10 requests of one origin were refused, or five times as many as usual where that is more. It fires when this has lasted for two minutes.",
    judge: (since) => {
      const refused = since(15 * MINUTE).refused ?? 0;
      return { met: refused > 10, why: `${of(refused, 10)} refusals` };
    },
  },
  lost: {
    name: "SSECorsRegression",
    // settings: immediate_closes: 10
    // settings: immediate_share: 0.5
    words: "Within five minutes at least 10 streams of one origin were closed at once, and they are more than half of all that it opened, far more than usual. It fires when this has lasted for two minutes.",
    judge: (since) => {
      const closed = since(5 * MINUTE).closedAtOnce ?? 0;
      return { met: closed >= 10, why: `${closed} of at least 10 closes at once, all that this page opened there` };
    },
  },
  expired: {
    name: "SSEAuthFailureSpike",
    // settings: auth_failures: 10
    // settings: auth_failure_share: 0.2
    words: "Within 15 minutes authentication failed for more than 10 requests, and for more than a fifth of all, far more than usual. It fires when this has lasted for five minutes. One token that ends is daily life: the page signs in again.",
    judge: (since) => {
      const failed = since(15 * MINUTE).failed ?? 0;
      return { met: failed > 10, why: `${of(failed, 10)} failures` };
    },
  },
  cut: {
    name: "SSEReconnectStorm",
    // settings: reconnects_per_second: 1
    // settings: reconnects_times: 5
    words: "For five minutes clients ask for streams more than once a second, five times as often as in the hour before, and nearly all of them have lost one. It fires when this has lasted for two minutes. One client that comes back is what the library is for.",
    judge: (since) => {
      const asked = since(5 * MINUTE).asked ?? 0;
      return { met: asked > 300, why: `${of(asked, 300)} requests in five minutes` };
    },
  },
  crowd: {
    name: "SSEIpLimitSaturated",
    words: "An address has as many streams as the smallest limit allows, and within five minutes a request was refused for that. It fires when this has lasted for two minutes.",
    judge: (since, families) => {
      const most = total(families, "sse_client_streams_max") ?? 0;
      const limits = (families.get("sse_connections_limit") ?? []).filter(({ labels }) => labels.scope === "ip");
      const limit = Math.min(...limits.map(({ value }) => value));
      const refused = by(families, "sse_connections_rejected_total", "reason").find(([reason]) => reason === "ip_limit")?.[1] ?? 0;
      return { met: refused > 0 && most >= limit, why: `while the crowd was there: ${most} streams of one address, ${limit} allowed, and ${refused} refusals since the start` };
    },
  },
};
