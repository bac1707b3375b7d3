// The matrix: the filter, a walk with the keyboard, and what is behind a cell.
(() => {
  const byId = (id) => document.getElementById(id);
  const table = document.querySelector(".matrix");
  const scroll = document.querySelector(".scroll");
  const [families, names] = table.tHead.rows;
  const columns = [...names.cells];
  const rows = [...table.tBodies[0].rows];
  const cells = rows.map((row) => [...row.cells].slice(1));
  const dialog = byId("detail");

  // A cell that is walked to must not end up below the heads, which stay in place.
  const room = () => {
    scroll.style.scrollPaddingTop = `${table.tHead.offsetHeight}px`;
    scroll.style.scrollPaddingLeft = `${rows[0].cells[0].offsetWidth}px`;
    scroll.style.setProperty("--families", `${families.cells[1].offsetHeight}px`);
  };

  // The filter -----------------------------------------------------------------------------

  const filter = document.querySelector(".filter");

  // Alternatives stand between commas; of each, all words must be there.
  const finder = (text) => {
    const wanted = text.toLowerCase().split(",").map((each) => each.split(/\s+/).filter(Boolean));
    const asked = wanted.filter((words) => words.length);
    return (name) =>
      !asked.length || asked.some((words) => words.every((word) => name.toLowerCase().includes(word)));
  };

  // A line is drawn where a year, or a family, begins.
  const yearOf = (row) => row.cells[0].querySelector("span").textContent;
  const begin = (shown, groupOf, style, parts = (each) => [each]) => {
    shown.forEach((each, at) => {
      const begins = !at || groupOf(each) !== groupOf(shown[at - 1]);
      for (const part of parts(each)) part.classList.toggle(style, begins);
    });
  };

  const show = () => {
    const wantsPolicy = finder(byId("policies").value);
    const wantsScenario = finder(byId("scenarios").value);
    const signs = [...byId("signs").value];
    const wants = (cell) => !signs.length || signs.some((sign) => cell.dataset.signs.includes(sign));
    const named = columns.map((head) => wantsScenario(`${head.textContent} ${head.dataset.family}`));
    const found = cells.map((line, at) =>
      wantsPolicy(rows[at].cells[0].textContent) && line.some((cell, to) => named[to] && wants(cell)));
    const filled = columns.map((_, to) =>
      named[to] && cells.some((line, at) => found[at] && wants(line[to])));

    let wanted = 0;
    cells.forEach((line, at) => {
      rows[at].hidden = !found[at];
      line.forEach((cell, to) => {
        cell.hidden = !filled[to];
        cell.classList.toggle("dim", !wants(cell));
        wanted += found[at] && filled[to] && wants(cell);
      });
    });
    columns.forEach((head, to) => { head.hidden = !filled[to] });
    begin(rows.filter((row) => !row.hidden), yearOf, "year");
    begin(columns.filter((head) => !head.hidden), (head) => head.dataset.family, "first", (head) =>
      [head, ...cells.map((line) => line[columns.indexOf(head)])]);
    for (const head of [...families.cells].slice(1)) {
      const shown = columns.filter((each) => each.dataset.family === head.title && !each.hidden);
      head.hidden = !shown.length;
      head.colSpan = shown.length || 1;
    }
    byId("counts").value =
      `${found.filter(Boolean).length} of ${rows.length} policies, ` +
      `${filled.filter(Boolean).length} of ${columns.length} scenarios, ${wanted} ${wanted === 1 ? "cell" : "cells"}`;
    // There is always one cell that Tab reaches.
    if (!isShown(here)) stand(cells.flat().find(isShown));
    room();
  };

  const clear = () => {
    filter.reset();
    show();
  };

  // The walk -------------------------------------------------------------------------------

  const isShown = (cell) => cell && !cell.hidden && !cell.parentElement.hidden;
  let here = null;

  const stand = (cell) => {
    if (here) here.tabIndex = -1;
    here = cell ?? null;
    if (here) here.tabIndex = 0;
  };

  const place = (cell) => {
    const at = rows.indexOf(cell.parentElement);
    return [at, cells[at].indexOf(cell)];
  };

  // The next cell that is shown, in steps of so many rows and columns; null at the edge.
  const beyond = (at, to, down, right) => {
    do { at += down; to += right } while (cells[at]?.[to] && !isShown(cells[at][to]));
    return cells[at]?.[to] ?? null;
  };

  const far = (at, to, down, right, most = Infinity) => {
    let last = cells[at][to];
    for (let next, count = 0; count < most && (next = beyond(at, to, down, right)); count++) {
      last = next;
      [at, to] = place(next);
    }
    return last;
  };

  const PAGE = 5;
  const target = (event, at, to) => {
    const all = event.ctrlKey || event.metaKey;
    switch (event.key) {
      case "ArrowUp": return far(at, to, -1, 0, all ? Infinity : 1);
      case "ArrowDown": return far(at, to, 1, 0, all ? Infinity : 1);
      case "ArrowLeft": return far(at, to, 0, -1, all ? Infinity : 1);
      case "ArrowRight": return far(at, to, 0, 1, all ? Infinity : 1);
      case "PageUp": return far(at, to, -1, 0, PAGE);
      case "PageDown": return far(at, to, 1, 0, PAGE);
      case "Home": return all ? far(...place(far(at, to, -1, 0)), 0, -1) : far(at, to, 0, -1);
      case "End": return all ? far(...place(far(at, to, 1, 0)), 0, 1) : far(at, to, 0, 1);
      default: return null;
    }
  };

  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("tbody td");
    if (!cell || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(cell);
      return;
    }
    const next = target(event, ...place(cell));
    if (next) {
      event.preventDefault();
      next.focus();
      // The heads are inside, at its upper edge: they shall be seen, too.
      scroll.scrollIntoView({ block: "nearest" });
    }
  });

  // Where the reader is, by keyboard or pointer, its heads are marked.
  const mark = (cell) => {
    for (const head of table.querySelectorAll(".here")) head.classList.remove("here");
    if (!cell) return;
    const [at, to] = place(cell);
    rows[at].cells[0].classList.add("here");
    columns[to].classList.add("here");
  };
  table.addEventListener("focusin", (event) => {
    const cell = event.target.closest("tbody td");
    if (cell) {
      stand(cell);
      mark(cell);
    }
  });
  table.addEventListener("pointerover", (event) => mark(event.target.closest("tbody td")));
  table.addEventListener("pointerleave", () => mark(document.activeElement.closest("tbody td")));

  // What is behind a cell ------------------------------------------------------------------

  const copyOf = (id) => byId(id).content.cloneNode(true);

  const open = (cell) => {
    if (cell.dataset.body === undefined) return;
    const [at, to] = place(cell);
    const policy = rows[at].cells[0].querySelector("b").textContent;
    const scenario = columns[to].textContent;
    byId("detail-title").textContent = `${scenario} under ${policy}`;
    const about = copyOf("about");
    const texts = [scenario, columns[to].title.slice(scenario.length + 2), policy, rows[at].cells[0].title];
    about.querySelectorAll("dt, dd").forEach((each, number) => { each.textContent = texts[number] });
    const body = dialog.querySelector(".body");
    body.replaceChildren(about, copyOf(`body-${cell.dataset.body}`));
    const drawing = body.querySelector("[data-drawing]");
    if (drawing) {
      drawing.append(copyOf(`drawing-${drawing.dataset.drawing}`));
      const state = document.createElement("pre");
      state.className = "faint";
      state.append(copyOf("state"));
      drawing.after(state);
    }
    // The cell has the focus when the dialog is closed again.
    cell.focus({ preventScroll: true });
    dialog.showModal();
    body.scrollTop = 0;
    body.focus();
    history.replaceState(null, "", `#${scenario}/${policy}`);
  };

  table.addEventListener("click", (event) => {
    const cell = event.target.closest("tbody td");
    if (cell) open(cell);
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close() });
  dialog.addEventListener("close", () => {
    history.replaceState(null, "", location.pathname + location.search);
  });

  const openNamed = () => {
    const [scenario, policy] = decodeURIComponent(location.hash.slice(1)).split("/");
    const at = rows.findIndex((row) => row.cells[0].querySelector("b").textContent === policy);
    const to = columns.findIndex((head) => head.textContent === scenario);
    if (at >= 0 && to >= 0 && !dialog.open) {
      if (!isShown(cells[at][to])) clear();
      open(cells[at][to]);
    }
  };

  for (const cell of cells.flat()) {
    if (cell.dataset.body !== undefined) cell.ariaHasPopup = "dialog";
  }
  filter.hidden = false;
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.addEventListener("input", show);
  byId("all").addEventListener("click", clear);
  addEventListener("resize", room);
  addEventListener("hashchange", openNamed);
  show();
  openNamed();
})();
