// Opens reports in a headless Chromium, on a phone's and a desk's width, light and dark, and says what is wrong with them.
//
//     node check.mjs CHROMIUM SCREENSHOTS REPORT.html...
//
// Exit code 1 if anything is: an error on the console, a request that leaves the file, a dialog, a plot that is not to be seen, a page
// that is wider than its window, a table that does not sort or filter, or a serious violation that axe-core finds.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

const [chromium, screenshots, ...reports] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const browser = await puppeteer.launch({
  executablePath: chromium,
  // A container has no user namespaces for the sandbox; the pages are our own.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--font-render-hinting=none"],
});
let wrong = 0;
const complain = (where, what) => {
  wrong += 1;
  console.error(`${where}: ${what}`);
};

for (const report of reports) {
  for (const width of [390, 1440]) {
    for (const scheme of ["light", "dark"]) {
      const where = `${basename(report, ".html")}, ${width} px, ${scheme}`;
      const page = await browser.newPage();
      const url = pathToFileURL(report).href;
      page.on("console", (message) => message.type() === "error" && complain(where, `console: ${message.text()}`));
      page.on("pageerror", (error) => complain(where, `script: ${error.message}`));
      page.on("dialog", (dialog) => { complain(where, `dialog: ${dialog.message()}`); dialog.dismiss(); });
      page.on("request", (request) => {
        if (request.url() !== url && !request.url().startsWith("data:")) complain(where, `request: ${request.url()}`);
      });
      await page.setViewport({ width, height: width < 600 ? 844 : 900 });
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await page.goto(url, { waitUntil: "load" });
      for (const problem of await page.evaluate(looks)) complain(where, problem);
      await page.screenshot({ path: join(screenshots, `${where.replaceAll(", ", "-").replace(" px", "")}.png`), fullPage: true });
      if (width > 600) for (const problem of await tables(page)) complain(where, problem);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
      for (const { id, impact, help, nodes } of violations) {
        const places = nodes.slice(0, 3).map((node) => `${node.target}: ${node.failureSummary}`).join("; ");
        const text = `axe ${impact} ${id}: ${help} (${nodes.length}): ${places}`;
        if (["serious", "critical"].includes(impact)) complain(where, text);
        else console.log(`${where}: ${text}`);
      }
      console.log(`${where}: looked at`);
      await page.close();
    }
  }
}
await browser.close();
console.log(wrong === 0 ? `${reports.length} reports are sound` : `${wrong} problems`);
process.exit(wrong === 0 ? 0 : 1);

// In the page: what is not to be seen.
function looks() {
  const problems = [];
  const plots = [...document.querySelectorAll("figure > svg")];
  if (plots.length === 0) problems.push("no plot");
  for (const plot of plots) {
    const box = plot.getBoundingClientRect();
    if (box.width < 200 || box.height < 60) {
      problems.push(`the plot ${plot.parentElement.id} is ${box.width} x ${box.height}`);
    }
    if (!plot.querySelector("path, line, rect, circle, polyline, polygon")) problems.push(`${plot.parentElement.id} is empty`);
  }
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) problems.push(`the page is ${scrollWidth} wide in a window of ${clientWidth}`);
  if (document.querySelectorAll("script").length !== 1) problems.push("there is a script that is not ours");
  return problems;
}

// Sorts and filters the table of models as a reader does.
async function tables(page) {
  const problems = [];
  const column = () => page.$$eval("#models tbody tr:not([hidden]) td:nth-child(2)", (cells) =>
    cells.map((cell) => cell.dataset.key).filter(Boolean).map(Number));
  const sorted = (values, order) => values.every((value, index) => index === 0 || order * (value - values[index - 1]) >= 0);
  const button = "#models thead th:nth-child(2) button";
  await page.focus(button);
  await page.keyboard.press("Enter");
  if (!sorted(await column(), -1)) problems.push("the first press does not sort the best to the top");
  await page.click(button);
  if (!sorted(await column(), 1)) problems.push("the second press does not turn the order");
  const state = await page.$eval("#models thead th:nth-child(2)", (header) => header.getAttribute("aria-sort"));
  if (state !== "ascending") problems.push(`aria-sort is ${state}`);

  const rows = () => page.$$eval("#models tbody tr:not([hidden]) .name", (names) => names.map((name) => name.textContent));
  const all = await rows();
  const wanted = all[all.length - 1].slice(0, 12);
  await page.type("#filter", wanted);
  const left = await rows();
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (name) => words.every((word) => name.toLowerCase().includes(word));
  if (left.length === 0 || left.length > all.length || !left.some(fits)) problems.push(`the filter leaves ${left.length} rows`);
  const said = await page.$eval("#shown", (status) => status.textContent);
  if (said !== `${left.length} of ${all.length} models`) problems.push(`the filter says "${said}"`);
  await page.$eval("#filter", (input) => { input.value = "no such model"; input.dispatchEvent(new Event("input")); });
  if ((await rows()).length !== 0) problems.push("a name that nothing has leaves rows");
  await page.$eval("#filter", (input) => { input.value = ""; input.dispatchEvent(new Event("input")); });
  if ((await rows()).length !== all.length) problems.push("an empty filter hides rows");
  return problems;
}
