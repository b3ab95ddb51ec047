package flow

import (
	"strings"
	"time"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// Choices of the screen of one task, as they are stored.
const (
	taskOutput  = "output"
	taskRefresh = "refresh"
	taskCancel  = "cancel"
	taskAgain   = "again"
)

// What Shown.Current holds of a task.
const (
	fieldState   = "state"
	fieldTitle   = "title"
	fieldStep    = "step"
	fieldSummary = "summary"
	fieldAt      = "at"
)

// cancelExpires is how long a wish to cancel counts.
const cancelExpires = 2 * time.Minute

var states = map[string]string{
	wire.StatePending: "state.pending", wire.StateQueued: "state.queued", wire.StateClaimed: "state.claimed",
	wire.StateRunning: "state.running", wire.StateSucceeded: "state.succeeded", wire.StateFailed: "state.failed",
	wire.StateCanceled: "state.canceled", wire.StateTimeout: "state.timeout", wire.StateExpired: "state.expired",
	wire.StateRejected: "state.rejected", wire.StateUnknown: "state.unknown",
}

func (t *turn) state(s string) string {
	if key, ok := states[s]; ok {
		return t.say(key)
	}
	return clean(s, 20)
}

func (t *turn) tasks() Result {
	if len(t.remembered().Recent) == 0 {
		t.why = ReasonInvalid
		return t.again(t.say("recent.none"))
	}
	return t.room(t.openTasks())
}

func (t *turn) task(id string) Result { return t.room(t.openTask(id)) }

// room shows a room's screen, or why there is none.
func (t *turn) room(sh Shown, need *Question, failed string) Result {
	return t.covered(sh, need, failed, "")
}

// covered is room with a note.
func (t *turn) covered(sh Shown, need *Question, failed, note string) Result {
	switch {
	case need != nil:
		return Result{Need: need}
	case failed != "":
		if t.why == "" {
			t.why = ReasonNoAnswer
		}
		return t.again(failed)
	}
	return t.cover(sh, note)
}

// askTasks asks for the records of orders.
func (t *turn) askTasks(ids ...string) (byID map[string]Task, need *Question, failed string) {
	a, need, failed := t.ask(Question{Key: AskTasks + " " + strings.Join(ids, " "), What: AskTasks, Tasks: ids})
	if need != nil || failed != "" {
		return nil, need, failed
	}
	byID = make(map[string]Task, len(a.Tasks))
	for _, task := range a.Tasks {
		byID[task.ID] = task
	}
	return byID, nil, ""
}

func (t *turn) openTasks() (sh Shown, need *Question, failed string) {
	list := t.remembered().Recent
	list = list[:min(len(list), MaxRecent)]
	var ids []string
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	byID, need, failed := t.askTasks(ids...)
	if need != nil || failed != "" {
		return Shown{}, need, failed
	}
	sh = Shown{Kind: wire.ScreenMenu, Room: Room{Name: roomTasks}}
	for _, r := range list {
		state := byID[r.ID].State
		if state == "" {
			state = wire.StateQueued
		}
		title := r.Title
		if r.Noop {
			title = t.say("noop.name", title)
		}
		sh.Items = append(sh.Items, wire.Item{Value: r.ID, Label: clean(title, menu.MaxLabel), Detail: state})
	}
	return sh, nil, ""
}

// taskLine is a stored task as a person reads it.
func (t *turn) taskLine(it wire.Item) wire.Item {
	return wire.Item{Value: it.Value, Label: t.say("task.line", wire.ShortID(it.Value), t.state(it.Detail), it.Label)}
}

func (t *turn) openTask(id string) (sh Shown, need *Question, failed string) {
	r, ok := t.given(id)
	if !ok {
		t.why = ReasonInvalid
		return Shown{}, nil, t.say("recent.gone")
	}
	byID, need, failed := t.askTasks(id)
	if need != nil || failed != "" {
		return Shown{}, need, failed
	}
	task := byID[id]
	if task.State == "" {
		task.State = wire.StateQueued
	}
	if task.Title == "" {
		task.Title = r.Title
	}
	if r.Noop {
		task.Title = t.say("noop.name", task.Title)
	}
	sh = Shown{Kind: wire.ScreenMenu, Room: Room{Name: roomTask, Arg: id}, Current: map[string]string{
		fieldState: clean(task.State, 20), fieldTitle: clean(task.Title, maxTitle),
	}}
	if wire.Final(task.State) && task.Summary != "" {
		task.Step = "" // how far it had come says nothing any more
	}
	for name, text := range map[string]string{fieldStep: task.Step, fieldSummary: task.Summary} {
		if text = clean(text, maxTitle); text != "" {
			sh.Current[name] = text
		}
	}
	if task.At > 0 {
		sh.Current[fieldAt] = time.UnixMilli(task.At).In(t.clock().Location()).Format("01-02 15:04:05")
	}
	add := func(choice string) { sh.Items = append(sh.Items, wire.Item{Value: choice}) }
	if task.Output > 0 {
		add(taskOutput)
	}
	add(taskRefresh)
	if !wire.Final(task.State) {
		add(taskCancel)
	}
	add(taskAgain)
	return sh, nil, ""
}

func (t *turn) taskChoice(choice string) string {
	switch choice {
	case taskOutput:
		return t.say("task.output")
	case taskRefresh:
		return t.say("task.refresh")
	case taskCancel:
		return t.say("task.cancel")
	}
	return t.say("task.again")
}

func (t *turn) inTask(i int) Result {
	id := t.s.Screen.Room.Arg
	switch t.s.Screen.Items[i].Value {
	case taskOutput:
		return t.output(id, 0)
	case taskRefresh:
		return t.task(id)
	case taskCancel:
		if _, ok := t.given(id); !ok {
			break
		}
		return t.cover(Shown{
			Kind: wire.ScreenConfirm, Room: Room{Name: roomCancel, Arg: id}, At: t.env.Now,
			Current: map[string]string{fieldTitle: t.s.Screen.Current[fieldTitle]},
		}, "")
	case taskAgain:
		return t.repeat(id)
	}
	return t.again(t.say("recent.gone"))
}

// inCancel takes the message for the answer to whether a task shall be cancelled.
func (t *turn) inCancel() Result {
	sh := t.s.Screen
	id := sh.Room.Arg
	if sh.Kind == wire.ScreenAccepted {
		note := ""
		if digits(t.in) { // typed for a screen that has no numbers: it must not meet the one that comes now
			t.did, t.why = DidRepeat, ReasonInvalid
			note = t.say("task.again_note")
		}
		sh, need, failed := t.openTask(id)
		return t.covered(sh, need, failed, note)
	}
	t.did = DidConfirm
	r, ok := t.given(id)
	if sh.Kind != wire.ScreenConfirm || !ok {
		t.why = ReasonInvalid
		return t.uncover(t.say("recent.gone"))
	}
	if t.in != "1" {
		t.did, t.why = DidRepeat, ReasonInvalid
		return t.again(t.say("task.cancel_not", "1", t.backWord()))
	}
	if note := t.unready("1", cancelExpires.Milliseconds()); note != "" {
		return t.again(note)
	}
	intent := &Intent{
		ID: wire.DeriveID("action", t.ev.ID, "cancel", id), Node: r.Node, Zone: r.Zone, Pool: r.Pool, Action: wire.ActionCancel,
		Args: map[string]any{"id": id}, Lang: t.lang, Expire: int64(cancelExpires.Seconds()),
		Title: clean(t.say("task.cancel_title", wire.ShortID(id), r.Title), maxTitle),
	}
	t.s.Screen = Shown{Kind: wire.ScreenAccepted, Room: sh.Room}
	return t.accepted(intent, "", t.say("task.accepted_keys", t.backWord()))
}
