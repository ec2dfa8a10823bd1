// Items fetched, drafts kept and judgements sent: the desk's dealings with the server. Part of one
// function with annotate.js, whose `desk` and `state` it fills.
const RETRY_SECONDS = [1, 2, 4, 8, 15];
const IDLE_SECONDS = 60;

async function open(go, item) {
  if (retry) {
    retry.again();
    return notice("This item is not saved yet: the desk stays here until it is.");
  }
  const mine = visit;
  const { project, mode } = desk.dataset;
  const told = await server.desk_open({ project, mode, go, item: item || state?.item || "" });
  if (mine !== visit) return;
  if (!told) return notice("No answer from the server: what you see stays. Try again in a moment.");
  if (told.error) return notice(told.error);
  notice("");
  one("[data-progress]").innerHTML = told.progress;
  if (!told.item) {
    if (!state) one("[data-place]").replaceChildren();
    return notice("Nothing is left for you here. G opens what you skipped, [ what you judged.", "done");
  }
  show(told);
}

function show(told) {
  const before = state?.item === told.item ? state.cursor.p : null;
  one("[data-place]").innerHTML = told.html;
  state = {
    item: told.item,
    version: told.version,
    answers: structuredClone(told.answers),
    reasons: told.reasons,
    grades: told.grades,
    undo: [],
    key: drawKey(),
    seconds: 0,
    seen: Date.now(),
    cursor: { p: -1, r: null, part: 0 },
    saving: false,
  };
  writeStored(nameLast(), state.item);
  const draft = readStored(nameDraft());
  if (draft && !same(draft.answers, state.answers)) {
    Object.assign(state, { answers: draft.answers, key: draft.key, seconds: draft.seconds });
    const newer = draft.version !== told.version;
    state.version = draft.version;
    tell("Draft restored, not saved yet", "busy");
    if (newer) {
      notice("This draft began from an older version than the one that is saved. Saving keeps both.");
    }
  } else {
    const words = { done: `Saved as version ${told.version}`, skipped: "Skipped before", "": "" };
    tell(words[told.status], "done");
  }
  if (told.conflict) {
    notice(`Version ${told.version} was saved beside another one. Both are kept; save again to settle.`);
  }
  moveTo(one(`.desk-passage[data-p="${before}"]`) || cards()[0]);
}

function draw() {
  drawAnswers(desk, state.answers, state.cursor);
}

// Every change goes through here: undo, draft, screen.
function change(edit, { typed = false } = {}) {
  const before = structuredClone(state.answers);
  edit(state.answers);
  if (same(before, state.answers)) return draw();
  if (!typed || state.typing !== true) state.undo.push(before);
  state.typing = typed;
  state.key = drawKey();
  keep();
  tell(retry ? "Not saved: still trying" : "Draft, not saved yet", "busy");
  draw();
}

function keep() {
  const { answers, version, key, seconds } = state;
  if (!writeStored(nameDraft(), { answers, version, key, seconds })) {
    notice("This browser keeps no drafts: what is not saved is lost when the page is closed.");
  }
}

function countTime() {
  const now = Date.now();
  if (document.visibilityState === "visible") {
    state.seconds += Math.min((now - state.seen) / 1000, IDLE_SECONDS);
  }
  state.seen = now;
}

async function save(status, then, attempt = 0) {
  const sent = state;
  if (sent.saving) return;
  if (retry) clearTimeout(retry.timer);
  retry = null;
  countTime();
  keep();
  sent.saving = true;
  tell("Saving…", "busy");
  const { item, version, key, seconds } = sent;
  const { project, mode } = desk.dataset;
  // As they are now: what is changed while this is under way is the next save's.
  const answers = structuredClone(sent.answers);
  const mine = visit;
  const told = await server.desk_save({
    project, mode, item, answers, version, save_key: key, seconds, status,
  });
  sent.saving = false;
  if (mine !== visit || state !== sent) return;
  if (!told) return waitToRetry(sent, status, then, attempt);
  if (told.error) {
    tell("Not saved", "error");
    return notice(told.error);
  }
  one("[data-progress]").innerHTML = told.progress;
  sent.version = told.version;
  sent.seconds = 0;
  const changed = !same(answers, sent.answers);
  if (!changed) writeStored(nameDraft(), null);
  else keep();
  tell(changed ? "Draft, not saved yet" : `Saved as version ${told.version}`, changed ? "busy" : "done");
  if (!changed) await open(then || "here", item);
  if (told.conflict) {
    const text = `Version ${told.version} was saved beside one made elsewhere. Both are kept; `;
    notice(`${text}the newest counts${then ? ", and [ goes back to it." : "."}`);
  }
}

// The same save again, with what the answers are by then; its key tells a repeated one from a new one.
function waitToRetry(sent, status, then, attempt) {
  const seconds = RETRY_SECONDS[Math.min(attempt, RETRY_SECONDS.length - 1)];
  tell(`Not saved: no connection. Your draft is kept here; trying again in ${seconds} s`, "error");
  const again = () => {
    if (state === sent) save(status, then, attempt + 1);
  };
  retry = { timer: setTimeout(again, seconds * 1000), again };
}

// An owner's saved answers become the item's known ones, or are so no more.
async function markGold() {
  const button = one("[data-act=gold]");
  if (!button) return;
  if (retry || !state.version || readStored(nameDraft())) {
    return tell("Save first: gold is what you saved", "error");
  }
  const { item } = state;
  const { project, mode } = desk.dataset;
  const gold = button.getAttribute("aria-pressed") !== "true";
  const told = await server.desk_gold({ project, mode, item, gold });
  if (!told) return notice("No answer from the server: nothing was changed. Try again in a moment.");
  if (told.error) return notice(told.error);
  if (state?.item !== item) return;
  press(button, told.gold);
  tell(told.gold ? "A gold item now" : "No gold item any more", "done");
}
