(() => {
  const rows = [...document.querySelectorAll(".timeline tbody tr")];
  const form = document.querySelector(".filter");
  const [words, who, what, counts] = ["words", "who", "what", "counts"].map(
    (id) => document.getElementById(id));
  let here = rows[0];
  let shown = rows;

  // The rows are one stop for Tab, and it is where one was.
  const stand = (row) => {
    if (here) here.tabIndex = -1;
    here = row;
    if (here) here.tabIndex = 0;
  };
  const go = (row) => {
    if (!row) return;
    stand(row);
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };
  const step = (by) => {
    const at = Math.max(shown.indexOf(here), 0);
    return shown[Math.min(Math.max(at + by, 0), shown.length - 1)];
  };
  const violation = (by) => {
    for (let at = shown.indexOf(here) + by; shown[at]; at += by)
      if (shown[at].classList.contains("violated")) return shown[at];
  };

  const keys = {
    ArrowDown: () => step(1), ArrowUp: () => step(-1),
    PageDown: () => step(20), PageUp: () => step(-20),
    Home: () => shown[0], End: () => shown[shown.length - 1],
    n: () => violation(1), p: () => violation(-1),
  };
  const body = document.querySelector(".timeline tbody");
  body.addEventListener("focusin", (event) => stand(event.target.closest("tr")));
  body.addEventListener("keydown", (event) => {
    const key = keys[event.key];
    if (!key || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    go(key());
  });
  body.addEventListener("click", (event) => {
    // Who marks text with the pointer wants to copy it.
    if (!getSelection().toString()) go(event.target.closest("tr"));
  });

  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s*,\s*/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = Boolean(
        (who.value && row.dataset.who !== who.value)
        || (what.value && row.dataset.what !== what.value)
        || (wanted.length && !wanted.some((each) => text.includes(each))));
    }
    shown = rows.filter((row) => !row.hidden);
    counts.textContent = shown.length === rows.length ? "" : `${shown.length} of ${rows.length} rows`;
    if (!shown.includes(here)) stand(shown[0]);
  };
  const reset = () => {
    words.value = who.value = what.value = "";
    filter();
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("all").addEventListener("click", reset);
  form.hidden = false;
  stand(here);

  const follow = () => {
    const row = document.getElementById(location.hash.slice(1));
    if (!rows.includes(row)) return;
    if (row.hidden) reset();
    stand(row);
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "center" });
  };
  for (const link of document.querySelectorAll(".to-row"))
    link.addEventListener("click", (event) => {
      event.preventDefault();
      history.replaceState(null, "", link.hash);
      follow();
    });
  addEventListener("hashchange", follow);
  follow();
})();
