// Calls a URL by http.get without an agent, or by fetch, which has a pool: node calls.mjs URL CALLS per-call|shared
import { get } from "node:http";
const [url, calls, way] = process.argv.slice(2);
const alone = () =>
  new Promise((done, failed) => get(url, { agent: false }, (answer) => answer.resume().on("end", done)).on("error", failed));
for (let i = 0; i < Number(calls); i++) await (way === "per-call" ? alone() : (await fetch(url)).text());
