// A network namespace: a machine of its own, whose link can be taken down.

import { execFileSync, spawn } from "node:child_process";

const HOST = "10.213.8.1";
const FAR = "10.213.8.2";

/** Makes a namespace until the test ends. It needs root. */
export function namespace(t) {
  const id = process.pid;
  const [name, link, far] = [`sse-clients-${id}`, `ssc${id}`, `ssd${id}`];
  const ip = (line) => execFileSync("ip", line.split(" "), { stdio: ["ignore", "ignore", "pipe"] });
  const end = () => {
    for (const line of [`link del ${link}`, `netns del ${name}`]) {
      try {
        ip(line);
      } catch {
        // It is not there.
      }
    }
  };
  t.after(end);
  for (const line of [
    `netns add ${name}`,
    `link add ${link} type veth peer name ${far} netns ${name}`,
    `addr add ${HOST}/24 dev ${link}`,
    `link set ${link} up`,
    `-n ${name} addr add ${FAR}/24 dev ${far}`,
    `-n ${name} link set ${far} up`,
  ]) ip(line);
  return {
    address: FAR,
    /** Nothing arrives any more, and nobody is told. */
    cut: () => ip(`link set ${link} down`),
    mend: () => ip(`link set ${link} up`),
    /** Runs a script inside until the test ends; its first line. */
    async run(script, ...args) {
      const child = spawn("ip", ["netns", "exec", name, process.execPath, script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
      // Before the namespace.
      t.after(() => child.kill("SIGKILL"));
      child.stdout.setEncoding("utf8");
      return new Promise((line, failed) => {
        child.stdout.once("data", line);
        child.once("exit", (code) => failed(new Error(`${script} ended with ${code}`)));
      });
    },
  };
}
