// The replies, read once. Texts are shown through textContent alone; the page's policy refuses anything else.
const byId = (id) => document.getElementById(id);
const source = byId("replies-data");
const data = source ? JSON.parse(source.textContent) : { slots: [], runs: [], prompts: [], outcomes: [], numerator: [] };
const counted = new Set(data.numerator);
const NO_TEXT = "(empty)";
const MARK = "<reply>"; // an assistant turn that the target filled in

const promptOf = (slot) => data.prompts[slot[0]];
const repliesOf = (slot) => slot[2];
const nameOf = (slot) => {
  const prompt = promptOf(slot);
  return `${prompt.probe}/${prompt.prompt}/${prompt.variant}/${slot[1]}`;
};
const isBad = (reply) => reply !== null && counted.has(reply.o);
const someBad = (slot) => repliesOf(slot).some(isBad);
const differs = (slot) => {
  const there = repliesOf(slot).filter((reply) => reply !== null);
  return there.some(isBad) && !there.every(isBad);
};
const textOf = (reply) => (reply.t === undefined ? reply.fail : reply.t);

// An element with a class and children; text becomes text.
function make(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  for (const child of children) element.append(child);
  return element;
}
