// One sample of one prompt: what was asked, what every run answered, and what was said of it.
function showDetail(slot) {
  const detail = byId("detail");
  detail.replaceChildren();
  if (slot === null) {
    detail.append(make("p", "", "No reply fits the filters."));
    return;
  }
  const prompt = promptOf(slot);
  const link = make("a", "permalink", "link to this reply");
  link.href = `${ADDRESS}&${new URLSearchParams({ reply: nameOf(slot) })}`;
  const where = `${prompt.category}, split ${prompt.split}, paraphrase ${prompt.prompt + 1}, ${prompt.variant} form, sample ${slot[1] + 1}`;
  detail.append(make("h3", "", nameOf(slot)), make("p", "quiet", `${where} · `, link));
  const isScripted = prompt.messages.some(([, text]) => text === MARK);
  if (!isScripted) detail.append(...conversation(prompt, []));
  const columns = repliesOf(slot).map((reply, run) => column(reply, run, prompt, isScripted));
  detail.append(make("div", "columns-of-runs", ...columns));
  detail.scrollTop = 0;
}

function conversation(prompt, earlier) {
  const answers = [...earlier];
  const turns = prompt.system === null ? [] : [turn("system", prompt.system)];
  if (!prompt.messages.length) turns.push(make("p", "quiet", data.noWords));
  for (const [role, text] of prompt.messages) {
    turns.push(text === MARK ? turn("model", answers.shift() ?? "(not answered)") : turn(role, text));
  }
  if (prompt.prefill !== null) {
    turns.push(turn("prefill", prompt.prefill), make("p", "quiet", "The model was given this beginning of the reply to continue."));
  }
  return turns;
}

function turn(speaker, text, className = "") {
  const body = make("div", "said");
  highlight(body, text);
  return make("div", `turn ${speaker} ${className}`, make("span", "speaker", speaker), body);
}

// Marks what was searched for; all of it stays text.
function highlight(element, text) {
  const words = byId("f-q").value;
  if (!words) {
    element.textContent = text;
    return;
  }
  const search = new RegExp(pattern(words).source, "giu");
  let end = 0;
  for (const match of text.matchAll(search)) {
    element.append(text.slice(end, match.index), make("mark", "", match[0]));
    end = match.index + match[0].length;
  }
  element.append(text.slice(end));
}

function column(reply, run, prompt, isScripted) {
  const head = make("h4", "", data.runs[run]);
  if (data.targets[run] !== data.runs[run]) head.append(make("span", "quiet", ` ${data.targets[run]}`));
  const box = make("section", "of-run", head);
  if (reply === null) {
    box.append(make("p", "quiet", "This run has no such reply."));
    return box;
  }
  box.append(make("p", "", chip(reply, run), ...(reply.disputed ? [" ", make("span", "outcome", "judges disagree")] : [])));
  if (isScripted) box.append(...conversation(prompt, reply.earlier ?? []));
  if (reply.reasoning) box.append(folded("reasoning", reply.reasoning));
  box.append(turn(reply.fail === undefined ? "reply" : "failure", textOf(reply) || NO_TEXT, isBad(reply) ? "bad" : ""));
  box.append(...(reply.calls ?? []).map((call) => turn("call of a tool", call)));
  if (reply.leaked) box.append(folded("cut off after the end of the turn", reply.leaked));
  if (reply.refusal) box.append(turn("refusal by the provider", reply.refusal));
  if (reply.finish) box.append(make("p", "quiet", `finish: ${reply.finish}`));
  if (reply.whole) box.append(make("p", "quiet", `Only the beginning of ${reply.whole.toLocaleString("en")} characters; the run folder has it all.`));
  box.append(...reply.g.map(grade));
  return box;
}

function folded(name, text) {
  const body = make("div", "said");
  highlight(body, text);
  return make("details", "turn", make("summary", "speaker", name), body);
}

function grade([name, score, label, more]) {
  const judge = data.graders[name];
  const found = more.problem ? `not graded (${more.problem})` : score === null ? label : score.toFixed(1);
  const line = make("p", "", make("b", "", name), " ", found, judge ? make("span", "quiet", ` by ${judge}`) : "");
  const box = make("div", "grade", line);
  if (more.why) box.append(turn("why", more.why));
  if (more.raw) box.append(turn("in the judge's words", more.raw));
  for (const [by, value, said] of more.votes ?? []) box.append(make("p", "quiet", `${by}: ${value === null ? said : value}`));
  if (more.tokens) box.append(distribution(more));
  return box;
}

function distribution(more) {
  const rows = more.tokens.map(([token, share]) => {
    const bar = make("span", "share");
    bar.style.width = `${100 * share}%`;
    return make("tr", "", make("th", "", token), make("td", "", `${(100 * share).toFixed(1)} %`), make("td", "bar-cell", bar));
  });
  const mass = more.mass === undefined ? "" : `, ${(100 * more.mass).toFixed(1)} % of it on numbers`;
  const summary = make("summary", "", `the judge's distribution: ${more.tokens.length} tokens${mass}`);
  return make("details", "", summary, make("table", "tokens", make("tbody", "", ...rows)));
}
