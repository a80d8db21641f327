// What ci/browser runs: each page in each form.
import axe from "axe-core";
import { basename, resolve } from "node:path";
import puppeteer from "puppeteer-core";

const forms = [
  { name: "light", width: 1280, features: { "prefers-color-scheme": "light" } },
  { name: "dark", width: 1280, features: { "prefers-color-scheme": "dark" } },
  { name: "forced colours", width: 1280, features: { "forced-colors": "active" } },
  { name: "print", width: 1280, media: "print" },
  { name: "narrow", width: 320 },
];

/** The page's faults in this form, a line each. */
async function faults(browser, file, { name, width, features = {}, media = "" }) {
  const page = await browser.newPage();
  const found = [];
  page.on("console", (message) => found.push(`it logs: ${message.text()}`));
  page.on("pageerror", (error) => found.push(`it fails: ${error.message}`));
  page.on("request", (request) => {
    if (!request.isNavigationRequest() && !request.url().startsWith("data:")) found.push(`it requests ${request.url()}`);
  });
  await page.setViewport({ width, height: 900 });
  const devtools = await page.createCDPSession();
  await devtools.send("Emulation.setEmulatedMedia", {
    media,
    features: Object.entries(features).map(([name, value]) => ({ name, value })),
  });
  await page.goto(`file://${resolve(file)}`);
  await page.screenshot({ path: `target/browser/${basename(file, ".html")}-${name.replace(" ", "-")}.png`, fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (wide > 0) found.push(`it is ${wide} pixels too wide`);
  // axe-core is a script, which the page's own policy forbids; the tables are part of what it reads.
  const shown = found.length;
  await page.setBypassCSP(true);
  await page.reload();
  await page.evaluate(() => document.querySelectorAll("details").forEach((table) => (table.open = true)));
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  found.length = shown;
  for (const { id, help, nodes } of violations) found.push(`${id}: ${help} (${nodes.length}): ${nodes[0].html}`);
  await page.close();
  return found.map((fault) => `${basename(file)}, ${name}: ${fault}`);
}

const files = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox"] });
const all = [];
for (const file of files) for (const form of forms) all.push(...(await faults(browser, file, form)));
await browser.close();
all.forEach((fault) => console.error(fault));
console.log(`${files.length} pages in ${forms.length} forms: ${all.length} faults`);
process.exitCode = all.length ? 1 : 0;
