// The list. Only the lines that can be seen are there; their height is fixed, so that place is arithmetic.
const ROW = 64;
const SPARE = 6; // lines above and below the visible ones
let slots = [];
let current = -1; // place in `slots` of the line that is chosen

function showList(found) {
  slots = found;
  current = slots.length ? Math.min(Math.max(current, 0), slots.length - 1) : -1;
  byId("list-inside").style.height = `${slots.length * ROW}px`;
  const replies = slots.reduce((sum, slot) => sum + repliesOf(slot).filter((reply) => reply !== null).length, 0);
  const all = data.runs.length > 1 ? ` (${replies.toLocaleString("en")} replies of ${data.runs.length} runs)` : "";
  byId("f-count").textContent = `${slots.length.toLocaleString("en")} of ${data.slots.length.toLocaleString("en")} samples${all}`;
  drawList();
}

function drawList() {
  const list = byId("list");
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
  const last = Math.min(slots.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
  const rows = [];
  for (let place = first; place < last; place += 1) rows.push(row(place));
  byId("list-inside").replaceChildren(...rows);
  if (current >= first && current < last) list.setAttribute("aria-activedescendant", `row-${current}`);
  else list.removeAttribute("aria-activedescendant");
}

function row(place) {
  const slot = slots[place];
  const chips = make("span", "chips", ...repliesOf(slot).map(chip));
  const shown = repliesOf(slot).find(isBad) ?? repliesOf(slot).findLast((reply) => reply !== null);
  const line = make("div", "row", rowName(nameOf(slot)), chips, make("span", "excerpt", (textOf(shown) || shown.refusal || NO_TEXT).slice(0, 240)));
  line.id = `row-${place}`;
  line.setAttribute("role", "option");
  line.setAttribute("aria-selected", String(place === current));
  line.setAttribute("aria-setsize", String(slots.length));
  line.setAttribute("aria-posinset", String(place + 1));
  line.style.top = `${place * ROW}px`;
  line.addEventListener("click", () => choose(place));
  return line;
}

// A long name gives way in its middle: paraphrase, form and sample stand at its end.
const END = 18;
const rowName = (name) => make("span", "row-name", make("span", "front", name.slice(0, -END)), make("span", "", name.slice(-END)));

function chip(reply, run) {
  if (reply === null) return make("span", "outcome none", "not there");
  const label = data.outcomes[reply.o];
  const element = make("span", `outcome${isBad(reply) ? " bad" : ""}`, label);
  element.title = data.runs[run];
  return element;
}

function choose(place, { scroll = true, remember = true } = {}) {
  if (!slots.length) {
    current = -1;
    showDetail(null);
    return;
  }
  current = Math.min(Math.max(place, 0), slots.length - 1);
  const list = byId("list");
  const top = current * ROW;
  if (scroll && top < list.scrollTop) list.scrollTop = top;
  if (scroll && top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  drawList();
  showDetail(slots[current]);
  if (remember) writeAddress(nameOf(slots[current]));
}

function chooseNextBad(step) {
  for (let place = current + step; place >= 0 && place < slots.length; place += step) {
    if (someBad(slots[place])) return choose(place);
  }
}
