// Calls a URL by fetch: node node-fetch.mjs URL CALLS closed|kept
// `connection: close` is what people add to get rid of ECONNRESET; it costs a connection for each call.
const [url, calls, way] = process.argv.slice(2);
const options = way === "closed" ? { headers: { connection: "close" } } : {};
for (let i = 0; i < Number(calls); i++) await (await fetch(url, options)).text();
