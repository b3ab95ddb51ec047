// The phone page. It knows of the simulator: /sim/users, /sim/say, /sim/press, /sim/files, /sim/images and the event stream /sim/events.
// Every text that comes from outside is put on the page with textContent, never as markup.
'use strict';

const $ = (id) => document.getElementById(id);
const chat = $('chat'), text = $('text'), hops = $('hops'), people = $('people'), online = $('online');

const names = new Map(); // user id → name
const logs = new Map(); // user id → messages in order
const unread = new Map();
const failures = new Map(); // msgid → what went wrong on its way
let me = '';
let picksIn = null; // the bubble whose lines are buttons now
let focusNext = false; // the person moves by keyboard among the buttons

const KEEP = 300, KEEP_HOPS = 80;

function element(tag, className, content) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (content !== undefined) e.textContent = content;
  return e;
}

function clock(at, millis) {
  const d = new Date(at), two = (n) => String(n).padStart(2, '0');
  const s = two(d.getHours()) + ':' + two(d.getMinutes());
  return millis ? s + ':' + two(d.getSeconds()) + '.' + String(d.getMilliseconds()).padStart(3, '0') : s;
}

// ---- the chat

// What one typed oneself is known; of a very long text the beginning is enough, so that the answer stays in sight.
function brief(said) {
  return said.length <= 500 ? said : said.slice(0, 300) + `…（共 ${said.length} 个字符）`;
}

function bubble(m) {
  const row = element('div', m.via === 'user' ? 'msg mine' : 'msg');
  row.dataset.msgid = m.msgid;
  if (m.card) row.append(card(m));
  else if (m.kind === 'image' && m.file) row.append(image(m));
  else if (m.file) row.append(file(m));
  else row.append(element('div', 'bubble', (m.via === 'user' ? brief(m.text) : m.text) || ' '));
  const how = { passive: ' · 当场答复', push: ' · 推送' }[m.via] || '';
  row.append(element('div', 'meta', clock(m.at) + how));
  if (failures.has(m.msgid)) markFailed(row, failures.get(m.msgid));
  return row;
}

// A template card: what it says, and under it its buttons, or what stands in their place after an update.
function card(m) {
  const box = element('article', 'bubble card');
  if (m.card.title) box.append(element('h3', '', m.card.title));
  if (m.card.body) box.append(element('p', '', m.card.body));
  const buttons = m.card.buttons || [];
  if (!m.card.disabled && !buttons.length) return box;
  const row = element('div', 'acts');
  if (m.card.disabled) {
    const done = element('button', 'act', m.card.label || '已失效');
    done.type = 'button';
    done.disabled = true;
    row.append(done);
  } else {
    for (const b of buttons) {
      const act = element('button', 'act', b.text);
      act.type = 'button';
      act.dataset.task = m.card.task_id || '';
      act.dataset.press = b.key;
      row.append(act);
    }
  }
  box.append(row);
  return box;
}

function file(m) {
  const box = element('div', 'bubble file');
  const link = element('a', '', m.file.name);
  link.href = '/sim/files/' + encodeURIComponent(m.file.media_id);
  link.download = m.file.name;
  box.append(link, element('small', '', size(m.file.size)));
  return box;
}

// A picture, as wide as the chat; pressed, it opens by itself to be looked at closely.
function image(m) {
  const box = element('a', 'bubble image');
  box.href = '/sim/images/' + encodeURIComponent(m.file.media_id);
  box.target = '_blank';
  box.rel = 'noopener';
  const picture = element('img');
  picture.src = box.href;
  picture.alt = m.file.name;
  picture.addEventListener('error', () => { picture.replaceWith(element('span', '', `图片「${m.file.name}」已经不在了`)); });
  box.append(picture);
  return box;
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} 字节`;
  return bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1048576).toFixed(1)} MB`;
}

// A card that changed is drawn again in its place. Whoever was on one of its buttons stays in the chat: the text box would raise the
// keyboard of a touch screen.
function redraw(m) {
  const old = [...chat.children].find((r) => r.dataset.msgid === m.msgid && !r.classList.contains('mine'));
  if (!old) return;
  const within = old.contains(document.activeElement);
  old.replaceWith(bubble(m));
  if (within) chat.focus({ preventScroll: true });
}

function markFailed(row, why) {
  let note = row.querySelector('.bad');
  if (!note) row.append(note = element('div', 'meta bad'));
  note.textContent = why;
}

// Lines such as «1. 零售事业部» become buttons, in the newest message of the app only: a number means the list shown last.
function offerPicks() {
  const log = logs.get(me) || [];
  const newest = log.findLast((m) => m.via !== 'user');
  const row = newest && [...chat.children].findLast((r) => r.dataset.msgid === newest.msgid && !r.classList.contains('mine'));
  const box = row && !newest.card && !newest.file ? row.querySelector('.bubble') : null;
  if (row && newest.card) goOn(row.querySelector('.act:enabled'));
  if (box === picksIn) return;
  if (picksIn && picksIn.isConnected) picksIn.textContent = picksIn.dataset.whole;
  picksIn = box;
  if (!box || !/^\d+\./m.test(newest.text)) return;
  box.dataset.whole = newest.text;
  box.textContent = '';
  let plain = [];
  const flush = () => {
    if (plain.length) box.append(element('span', '', plain.join('\n').replace(/^\n+|\n+$/g, '')));
    plain = [];
  };
  for (const line of newest.text.split('\n')) {
    const number = /^(\d+)\./.exec(line);
    if (!number) { plain.push(line); continue; }
    flush();
    const pick = element('button', 'pick', line);
    pick.type = 'button';
    pick.dataset.send = number[1];
    box.append(pick);
  }
  flush();
  goOn(box.querySelector('.pick'));
}

// Whoever pressed a button by keyboard goes on at the first button of the answer.
function goOn(button) {
  if (focusNext) (button || text).focus({ preventScroll: true });
  focusNext = false;
}

// The newest message is shown from its first line, also when it is higher than the screen.
function toEnd() {
  chat.scrollTop = chat.scrollHeight;
  const last = chat.lastElementChild;
  if (last && last.offsetHeight > chat.clientHeight) chat.scrollTop = last.offsetTop - chat.offsetTop - 8;
}

// Putting the cursor into the box raises the keyboard of a touch screen, over the keypad: only where there is a mouse.
const hasMouse = matchMedia('(pointer: fine)');
function toBox() { if (hasMouse.matches) text.focus(); }

function showChat() {
  picksIn = null;
  chat.textContent = '';
  const log = logs.get(me) || [];
  if (log.length === 0) chat.append(element('p', 'hello', '还没有消息。点「菜单」，或者随便发一句话开始。'));
  else chat.append(...log.map(bubble));
  offerPicks();
  toEnd();
}

function gotMessage(m) {
  const log = logs.get(m.user) || [];
  logs.set(m.user, log);
  const at = log.findLastIndex((o) => o.seq <= m.seq);
  if (at >= 0 && log[at].seq === m.seq) {
    if ((log[at].updated || 0) >= (m.updated || 0)) return;
    log[at] = m;
    if (m.user === me && ready) redraw(m);
    return;
  }
  log.splice(at + 1, 0, m); // in the past that is told first, a card that was changed comes after younger messages
  if (log.length > KEEP) log.shift();
  if (m.user !== me) {
    if (m.via !== 'user' && ready) setUnread(m.user, (unread.get(m.user) || 0) + 1);
    return;
  }
  if (!ready) return; // shown all at once
  chat.querySelector('.hello')?.remove();
  chat.append(bubble(m));
  while (chat.children.length > KEEP) chat.firstElementChild.remove();
  offerPicks();
  toEnd();
}

// ---- what people type

// ask posts what a person does, and returns what went wrong before anything was sent; a failure on the way is marked at its message.
async function ask(path, request) {
  try {
    const resp = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(request) });
    const body = await resp.json();
    if (!resp.ok) return body.error;
    if (body.status === 'failed') { failures.set(body.msgid, body.error); markById(body.msgid); }
    return '';
  } catch {
    return '连不上模拟器，没有发送。';
  }
}

async function say(what) {
  const user = me;
  const why = await ask('/sim/say', { user, text: what });
  if (why && user === me) {
    const row = element('div', 'msg mine');
    row.append(element('div', 'bubble', brief(what)));
    markFailed(row, why);
    chat.append(row);
    toEnd();
  }
}

async function press(act) {
  const user = me, row = act.closest('.msg');
  focusNext = document.activeElement === act && act.matches(':focus-visible');
  act.setAttribute('aria-busy', 'true');
  const why = await ask('/sim/press', { user, task_id: act.dataset.task, key: act.dataset.press });
  act.removeAttribute('aria-busy');
  if (why && row.isConnected) markFailed(row, why);
}

function markById(msgid) {
  const row = [...chat.children].find((r) => r.dataset.msgid === msgid);
  if (row) { markFailed(row, failures.get(msgid)); toEnd(); }
}

$('say').addEventListener('submit', (e) => {
  e.preventDefault();
  const what = text.value;
  if (what === '') return;
  text.value = '';
  toBox();
  say(what);
});

// A digit goes into the box. A key with a meaning of its own is sent at once, unless something is being typed already.
$('keys').addEventListener('click', (e) => {
  const key = e.target.closest('button');
  if (!key) return;
  if (key.dataset.send) say(key.dataset.send);
  else if ('now' in key.dataset && text.value === '') say(key.dataset.key);
  else text.value += key.dataset.key;
});

chat.addEventListener('click', (e) => {
  const act = e.target.closest('.act');
  if (act) press(act);
  const pick = e.target.closest('.pick');
  if (!pick) return;
  focusNext = document.activeElement === pick && pick.matches(':focus-visible');
  say(pick.dataset.send);
});

// ---- people

function setUnread(user, n) {
  unread.set(user, n);
  const tag = people.querySelector(`input[value="${CSS.escape(user)}"] + .person`);
  if (!tag) return;
  if (n) tag.dataset.unread = n > 99 ? '99+' : n;
  else delete tag.dataset.unread;
}

function become(user) {
  me = user;
  setUnread(user, 0);
  try { localStorage.setItem('palmops-user', user); } catch { /* private window: begin with the first person next time */ }
  people.querySelector(`input[value="${CSS.escape(user)}"]`)?.closest('label').scrollIntoView({ block: 'nearest', inline: 'nearest' });
  showChat();
}

function showPeople(users) {
  let last = '';
  try { last = localStorage.getItem('palmops-user') || ''; } catch { /* as above */ }
  if (!users.some((u) => u.user === last)) last = users[0].user;
  for (const u of users) {
    names.set(u.user, u.name);
    const label = element('label');
    const radio = element('input');
    radio.type = 'radio';
    radio.name = 'me';
    radio.value = u.user;
    radio.checked = u.user === last;
    radio.addEventListener('change', () => become(u.user));
    const tag = element('span', 'person', u.name);
    tag.append(element('small', '', u.departments.map((d) => d.name).join('、') + (u.plain ? ' · 不显示卡片' : '')));
    tag.title = [u.position, ...(u.tags || [])].filter(Boolean).join(' · ');
    label.append(radio, tag);
    people.append(label);
  }
  become(last);
}

// ---- the road

const OUTCOMES = {
  reply: '当场答复', empty: '已受理，没有当场答复', timeout: '超时', connect: '没有连上', status: '应答不是 200',
  bad_reply: '答复验证失败', unsent: '没有发出', shown: '已显示', updated: '卡片已更新', duplicate: '重复推送，没有再显示',
};

function gotDelivery(d) {
  const up = d.kind === 'callback';
  const fine = ['reply', 'empty', 'shown', 'updated', 'duplicate'].includes(d.outcome);
  const row = element('li', 'hop' + (up ? '' : ' down') + (fine ? '' : ' failed'));
  row.append(element('span', 'when', clock(d.at, true)));
  row.append(element('b', '', (up ? '↑ 加密回调 · ' : '↓ 推送 · ') + (names.get(d.user) || d.user)));
  const facts = [];
  if (up) {
    facts.push(`${d.bytes} 字节 ${(d.form || '').toUpperCase()}`);
    if (d.attempt > 1) facts.push(`第 ${d.attempt}/${d.limit} 次投递`);
    if (d.copy) facts.push(`副本 ${d.copy}`);
    if (d.http) facts.push(`HTTP ${d.http}`);
    facts.push(`${d.ms < 10 ? d.ms.toFixed(1) : Math.round(d.ms)} 毫秒`);
  } else facts.push(`message/${d.outcome === 'updated' ? 'update_template_card' : 'send'} ${d.bytes} 字节`);
  row.append(element('p', '', facts.join(' · ')));
  if (up && fine && failures.delete(d.msgid)) {
    const row = [...chat.children].find((r) => r.dataset.msgid === d.msgid);
    if (row) row.querySelector('.bad')?.remove();
  }
  let end = OUTCOMES[d.outcome] || d.outcome;
  if (d.outcome === 'reply') end += `（加密 ${d.reply_bytes} 字节）`;
  row.append(element('p', '', fine ? '→ ' + end : '✕ ' + (d.error || end)));
  hops.prepend(row);
  while (hops.children.length > KEEP_HOPS) hops.lastElementChild.remove();
}

function showRoad(on) {
  document.body.classList.toggle('on-road', on);
  $('open-road').setAttribute('aria-expanded', String(on));
  (on ? $('close-road') : $('open-road')).focus();
  if (!on) toEnd();
}
$('open-road').addEventListener('click', () => showRoad(true));
$('close-road').addEventListener('click', () => showRoad(false));

// ---- start

let ready = false;

function setOnline(state, what) {
  online.dataset.state = state;
  online.textContent = what;
}

function listen() {
  const events = new EventSource('/sim/events');
  // The stream begins with the past and says when that is over. The past is shown at once and not announced piece by piece.
  events.addEventListener('live', () => {
    setOnline('on', '● 在线');
    if (ready) return;
    ready = true;
    showChat();
  });
  events.addEventListener('error', () => setOnline('off', '● 连接断开，正在重连…'));
  events.addEventListener('message', (e) => gotMessage(JSON.parse(e.data)));
  events.addEventListener('delivery', (e) => gotDelivery(JSON.parse(e.data)));
}

async function start() {
  try {
    const resp = await fetch('/sim/users');
    if (!resp.ok) throw new Error(resp.statusText);
    showPeople(await resp.json());
  } catch {
    setOnline('off', '● 连不上模拟器，正在重试…');
    setTimeout(start, 2000);
    return;
  }
  listen();
  toBox();
}
start();
