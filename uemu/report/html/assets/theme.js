"use strict";
// The switch of the theme: as the system, light, dark. It is remembered where the browser
// allows a page to remember anything; a file opened from a disk may not be.
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const themes = ["system", "light", "dark"];
  let at = 0;

  const remembered = () => {
    try { return localStorage.getItem("uemu-theme") } catch { return null }
  };
  const remember = (theme) => {
    try { localStorage.setItem("uemu-theme", theme) } catch { /* then not */ }
  };
  const show = () => {
    const theme = themes[at];
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    button.querySelector("b").textContent = theme;
  };

  at = Math.max(themes.indexOf(remembered()), 0);
  show();
  button.hidden = false;
  button.addEventListener("click", () => {
    at = (at + 1) % themes.length;
    remember(themes[at]);
    show();
  });
})();
