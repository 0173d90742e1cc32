// @ts-check
// Light or dark, chosen before the page is painted: a module would come after it and let the other one flash.
"use strict";

(() => {
  const KEY = "vbgcam.theme";
  const root = document.documentElement;

  function kept() {
    try {
      return localStorage.getItem(KEY) ?? "auto";
    } catch {
      return "auto"; // a browser that keeps nothing
    }
  }

  /** @param {string} theme */
  function use(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  use(kept());
  document.addEventListener("DOMContentLoaded", () => {
    for (const input of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("#theme input"))) {
      input.checked = input.value === kept();
      input.addEventListener("change", () => {
        use(input.value);
        try {
          localStorage.setItem(KEY, input.value);
        } catch {
          // it counts for as long as the page is open
        }
      });
    }
  });
})();
