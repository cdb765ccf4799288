// Joins the parts: filters to list, list to reply, keys to all of them.
function filterAnew() {
  const kept = current >= 0 ? nameOf(slots[current]) : null;
  showList(chosenSlots());
  const place = slots.findIndex((slot) => nameOf(slot) === kept);
  choose(Math.max(place, 0));
}

function openAddress({ isFirst }) {
  const wanted = readAddress();
  if (wanted === null && !isFirst) return;
  setFilters(wanted ?? new URLSearchParams());
  showList(chosenSlots());
  const place = slots.findIndex((slot) => nameOf(slot) === wanted?.get("reply"));
  choose(Math.max(place, 0), { remember: false });
  if (wanted !== null) byId("replies").scrollIntoView();
}

function clearFilters() {
  setFilters(new URLSearchParams());
  filterAnew();
}

const HOLDERS = new Set(["INPUT", "SELECT", "TEXTAREA"]);
const KEYS = {
  j: () => choose(current + 1),
  k: () => choose(current - 1),
  n: () => chooseNextBad(1),
  p: () => chooseNextBad(-1),
  x: clearFilters,
  "/": () => byId("f-q").focus(),
  "?": () => byId("help").showModal(),
};
const LIST_KEYS = {
  ArrowDown: () => choose(current + 1),
  ArrowUp: () => choose(current - 1),
  PageDown: () => choose(current + 8),
  PageUp: () => choose(current - 8),
  Home: () => choose(0),
  End: () => choose(slots.length - 1),
  Enter: () => byId("detail").focus(),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (event.key === "Escape") return byId("explorer").contains(document.activeElement) ? byId("list").focus() : undefined;
  if (HOLDERS.has(event.target.tagName)) return;
  const action = KEYS[event.key] ?? (event.target === byId("list") ? LIST_KEYS[event.key] : undefined);
  if (!action) return;
  event.preventDefault();
  if (!byId("explorer").contains(document.activeElement) && event.key !== "?") byId("list").focus();
  action();
}

function start() {
  byId("explorer").hidden = false;
  fillChoices();
  openAddress({ isFirst: true });
  let waiting = 0;
  byId("f-q").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filterAnew, 150);
  });
  for (const name of [...FIELDS.slice(1), ...BOXES]) byId(`f-${name}`)?.addEventListener("change", filterAnew);
  byId("f-clear").addEventListener("click", clearFilters);
  byId("list").addEventListener("scroll", () => requestAnimationFrame(drawList));
  byId("help-close").addEventListener("click", () => byId("help").close());
  addEventListener("resize", drawList);
  addEventListener("hashchange", () => openAddress({ isFirst: false }));
  document.addEventListener("keydown", pressed);
}

if (source) start();
