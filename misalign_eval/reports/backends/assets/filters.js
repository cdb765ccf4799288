// What is asked for. All of it stands in the address, so that a link shows the same.
const FIELDS = ["q", "probe", "category", "split", "variant", "run", "outcome", "grader", "from", "to"];
const BOXES = ["differs", "disputed"];
const ADDRESS = "#show";

function readAddress() {
  if (!location.hash.startsWith(ADDRESS)) return null;
  return new URLSearchParams(location.hash.slice(ADDRESS.length));
}

function writeAddress(reply) {
  const wanted = new URLSearchParams();
  for (const name of FIELDS) if (byId(`f-${name}`)?.value) wanted.set(name, byId(`f-${name}`).value);
  for (const name of BOXES) if (byId(`f-${name}`)?.checked) wanted.set(name, "1");
  if (reply) wanted.set("reply", reply);
  const address = `${ADDRESS}&${wanted}`;
  if (address !== location.hash) history.replaceState(null, "", address);
}

function setFilters(wanted) {
  for (const name of FIELDS) if (byId(`f-${name}`)) byId(`f-${name}`).value = wanted.get(name) ?? "";
  for (const name of BOXES) if (byId(`f-${name}`)) byId(`f-${name}`).checked = wanted.has(name);
}

function fillChoices() {
  const of = (name) => [...new Set(data.prompts.map((prompt) => prompt[name]))].sort();
  for (const name of ["probe", "category", "split", "variant"]) addChoices(name, of(name));
  if (byId("f-run")) addChoices("run", data.runs);
  const there = new Set(data.slots.flatMap((slot) => repliesOf(slot).map((reply) => reply?.o)));
  addChoices("outcome", data.outcomes.filter((_, number) => there.has(number)));
  const graders = new Set();
  for (const slot of data.slots) for (const reply of repliesOf(slot)) for (const grade of reply?.g ?? []) graders.add(grade[0]);
  addChoices("grader", [...graders].sort());
}

function addChoices(name, values) {
  for (const value of values) {
    const option = make("option", "", value);
    option.value = value;
    byId(`f-${name}`).append(option);
  }
}

const pattern = (words) => new RegExp(words.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"), "iu");

// Gives the slots that fit, in the order of the plan. A slot fits where one reply of it fits in every respect.
function chosenSlots() {
  const value = (name) => byId(`f-${name}`)?.value ?? "";
  const search = value("q") ? pattern(value("q")) : null;
  const bounds = [value("from"), value("to")].map((text) => (text === "" ? null : Number(text)));
  const outcome = value("outcome") === "" ? null : data.outcomes.indexOf(value("outcome"));
  const run = value("run") === "" ? null : data.runs.indexOf(value("run"));
  const prompts = data.prompts.map((prompt) => promptFits(prompt, value));
  const said = data.prompts.map((prompt) => search !== null && promptSays(prompt, search));
  const fits = (reply, place) =>
    reply !== null &&
    (run === null || run === place) &&
    (outcome === null || reply.o === outcome) &&
    (!byId("f-disputed").checked || reply.disputed === 1) &&
    gradeFits(reply, value("grader"), bounds);
  return data.slots.filter(
    (slot) =>
      prompts[slot[0]] &&
      (!byId("f-differs")?.checked || differs(slot)) &&
      repliesOf(slot).some((reply, place) => fits(reply, place) && (search === null || said[slot[0]] || replySays(reply, search))),
  );
}

const promptFits = (prompt, value) =>
  ["probe", "category", "split", "variant"].every((name) => value(name) === "" || prompt[name] === value(name));

const promptSays = (prompt, search) =>
  search.test(prompt.probe) || search.test(prompt.system ?? "") || search.test(prompt.prefill ?? "") || prompt.messages.some(([, text]) => search.test(text));

const replySays = (reply, search) =>
  [textOf(reply), reply.reasoning, reply.refusal, ...(reply.earlier ?? [])].some((text) => text && search.test(text)) ||
  reply.g.some((grade) => [grade[2], grade[3].why, grade[3].raw].some((text) => text && search.test(text)));

function gradeFits(reply, grader, [from, to]) {
  const grades = grader === "" ? reply.g : reply.g.filter((grade) => grade[0] === grader);
  if (from === null && to === null) return grader === "" || grades.length > 0;
  return grades.some(([, score]) => score !== null && (from === null || score >= from) && (to === null || score <= to));
}
