// Starts the browsers of this machine, headless and with empty profiles.

import puppeteer from "puppeteer-core";

const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--disable-dev-shm-usage",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// Firefox asks its maker for many things at start; a test machine has no such network.
const FIREFOX_PREFERENCES = {
  "app.update.enabled": false,
  "app.normandy.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.push.connection.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "http://127.0.0.1:1/",
  "toolkit.telemetry.enabled": false,
};

/** Starts a browser: `chromium` or `firefox`. */
export async function launch({ browser, executable, args = [], preferences = {} }) {
  const chromium = browser === "chromium";
  return puppeteer.launch({
    browser: chromium ? "chrome" : "firefox",
    executablePath: executable,
    headless: true,
    // As long as a machine takes that compiles beside it.
    timeout: 90_000,
    acceptInsecureCerts: true,
    // A pipe, so that Chromium ends by itself should its driver be killed.
    pipe: chromium,
    args: chromium ? [...CHROMIUM_FLAGS, ...args] : args,
    extraPrefsFirefox: { ...FIREFOX_PREFERENCES, ...preferences },
    // Chromium writes what it says to its own log; nothing of it belongs on our stdout.
    dumpio: false,
  });
}
