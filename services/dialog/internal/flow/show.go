package flow

import (
	"encoding/json"
	"strconv"
	"strings"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

const (
	maxTitle = 200  // characters of an action's title
	maxValue = 1024 // bytes of a list's value; longer ones cannot be chosen
)

// keep answers with screens and leaves the session as it stands in t.
func (t *turn) keep(screens ...wire.Screen) Result {
	return Result{Session: t.s, Screens: append(t.extra, screens...), Did: t.did, Reason: t.why}
}

// again shows the stored screen once more: no list is asked for.
func (t *turn) again(note string) Result {
	p, _ := locate(t.m, t.s.Hops) // Step has made sure
	return t.keep(t.draw(p, t.s.Screen, note))
}

// show opens the screen at the end of hops. When a list or a value for it cannot be had, the person stays where they are.
func (t *turn) show(hops []Hop, note string) Result {
	p, ok := locate(t.m, hops)
	if !ok {
		hops, p = nil, place{node: t.m.Root, params: map[string]any{}}
	}
	sh, need, failed := t.open(p)
	if need != nil {
		return Result{Need: need}
	}
	if failed != "" {
		return t.stay(failed)
	}
	if len(hops) == 0 && len(sh.Items) == 0 {
		t.s = Session{SentAt: t.s.SentAt}
		t.why = ReasonDenied
		return t.keep(notice("没有可用的功能", "账号 "+clean(t.env.Person.User, 64)+" 还没有被授权，没有执行任何操作。需要权限请联系管理员。"))
	}
	t.s.Rev, t.s.Hops, t.s.Screen = t.m.Rev, hops, sh
	return t.keep(t.draw(p, sh, note))
}

// stay shows the old screen with the reason why the new one could not be opened.
func (t *turn) stay(reason string) Result {
	if t.why == "" {
		t.why = ReasonNoAnswer
	}
	if t.s.Rev == t.m.Rev && t.s.Screen.Kind != "" && t.s.Screen.Kind != wire.ScreenAccepted {
		if t.allowed(t.s.Hops) == len(t.s.Hops) {
			return t.again(reason)
		}
	}
	// Nothing to stay on: the top always can be shown, it needs no answer.
	return t.show(nil, reason)
}

// open gathers what the screen at p needs.
func (t *turn) open(p place) (sh Shown, need *Question, failed string) {
	step := p.current()
	switch {
	case step == nil:
		sh = Shown{Kind: wire.ScreenMenu}
		for _, child := range p.node.Items {
			if t.visible(child) {
				sh.Items = append(sh.Items, wire.Item{Value: child.ID, Label: child.Title})
			}
		}
		return sh, nil, ""
	case step.Dynamic != nil:
		return t.openList(p, step.Dynamic)
	case step.Input != nil:
		sh = Shown{Kind: wire.ScreenInput}
		for _, v := range step.Input.Values {
			sh.Items = append(sh.Items, wire.Item{Value: v})
		}
		return sh, nil, ""
	case step.Confirm != nil:
		return t.openConfirm(p, step.Confirm)
	}
	return Shown{}, nil, "这里没有可以显示的内容，没有执行任何操作"
}

func (t *turn) openList(p place, d *menu.Dynamic) (sh Shown, need *Question, failed string) {
	action, arg, args := p.deed(d.Param)
	if d.Param == "" && !t.env.Rights.Decide(t.env.Person, p.node.Path(), action, args).Allowed {
		t.why = ReasonDenied
		return Shown{}, nil, "没有权限，没有执行任何操作"
	}
	answer, need, failed := t.ask(p, d.Source, true)
	if need != nil || failed != "" {
		return Shown{}, need, failed
	}
	sh = Shown{Kind: wire.ScreenMenu}
	seen := map[string]bool{}
	items := make([]wire.Item, 0, len(answer.Items))
	for _, it := range answer.Items {
		if it.Value == "" || len(it.Value) > maxValue || clean(it.Value, maxValue) != it.Value || seen[it.Value] {
			continue // what cannot be shown as it is must not be chosen
		}
		seen[it.Value] = true
		items = append(items, wire.Item{Value: it.Value, Label: clean(it.Label, menu.MaxLabel), Detail: clean(it.Detail, menu.MaxLabel)})
	}
	if d.Param != "" {
		items = t.env.Rights.FilterItems(t.env.Person, p.node.Path(), action, arg, items, args)
	}
	if len(items) > MaxList {
		sh.Total, items = len(items), items[:MaxList]
	}
	sh.Items = items
	return sh, nil, ""
}

func (t *turn) openConfirm(p place, c *menu.Confirm) (sh Shown, need *Question, failed string) {
	sh = Shown{Kind: wire.ScreenConfirm, At: t.env.Now}
	if c.Current != nil {
		answer, need, failed := t.ask(p, *c.Current, false)
		if need != nil || failed != "" {
			return Shown{}, need, failed
		}
		sh.Current = map[string]string{}
		for _, f := range p.node.CurrentFields() {
			if v, ok := answer.Fields[f]; ok {
				sh.Current[f] = clean(v, maxTitle)
			}
		}
	}
	_, err := c.Text.Text(p.params, sh.Current)
	if err == nil && p.step+1 < len(p.node.Steps) && p.node.Steps[p.step+1].Action != nil {
		_, err = p.node.Steps[p.step+1].Action.Values(p.params, sh.Current)
	}
	if err != nil {
		return Shown{}, nil, "当前值取不到（执行器的应答不完整），没有执行任何操作"
	}
	return sh, nil, ""
}

// ask finds the answer to a question of this step, or says that it must be asked.
func (t *turn) ask(p place, src menu.Source, list bool) (a Answer, need *Question, failed string) {
	args, err := src.Values(p.params, nil)
	var canonical json.RawMessage
	if err == nil {
		canonical, err = wire.CanonicalArgs(args)
	}
	if err != nil {
		return Answer{}, nil, "参数不能使用，没有执行任何操作"
	}
	q := &Question{
		Key:  strings.Join([]string{src.Zone, src.Pool, src.Action, string(canonical)}, " "),
		Node: p.node.ID, Zone: src.Zone, Pool: src.Pool, Action: src.Action, Args: args, List: list,
	}
	a, ok := t.env.Answers[q.Key]
	switch {
	case !ok:
		return Answer{}, q, ""
	case a.Fault != "":
		return Answer{}, nil, t.retryHint(clean(a.Fault, 120))
	}
	return a, nil, ""
}

// retryHint adds how to try again: the very same input does it, since the screen stays.
func (t *turn) retryHint(text string) string {
	if t.ev.Type != "text" || len(t.in) > 20 || t.in == "" || !t.s.Open() {
		return text
	}
	text = strings.TrimRight(strings.TrimSuffix(text, "请稍后重试"), "。；，")
	return text + "；稍后再次回复 " + clean(t.in, 20) + " 重试"
}

// visible reports whether a node is shown: a list when something in it is, a road when its deed may become allowed.
func (t *turn) visible(n *menu.Node) bool {
	if !t.env.Rights.Sees(t.env.Person, t.m, n.Path()) {
		return false
	}
	if len(n.Steps) > 0 {
		action, _, args := place{node: n}.deed("")
		return t.env.Rights.May(t.env.Person, n.Path(), action, args).Allowed
	}
	for _, child := range n.Items {
		if t.visible(child) {
			return true
		}
	}
	return false
}

// allowed is how many of the hops the person may still take.
func (t *turn) allowed(hops []Hop) int {
	for i, h := range hops {
		p, ok := locate(t.m, hops[:i+1])
		if !ok {
			// The last value of a road leads nowhere by itself only in a damaged session.
			return i
		}
		if h.Node != "" {
			if !t.visible(p.node) {
				return i
			}
			continue
		}
		action, _, args := p.deed("")
		if !t.env.Rights.May(t.env.Person, p.node.Path(), action, args).Allowed {
			// Back to the list that holds the road: half a road is no place to be.
			return lastNode(hops[:i+1])
		}
	}
	return len(hops)
}

// outdated reports whether the stored list has lines that the person may not choose any more.
func (t *turn) outdated(p place) bool {
	if t.s.Screen.Kind != wire.ScreenMenu {
		return false
	}
	step := p.current()
	if step == nil {
		for _, it := range t.s.Screen.Items {
			if child := t.m.Node(it.Value); child == nil || !t.visible(child) {
				return true
			}
		}
		return false
	}
	if step.Param() == "" {
		return false // allowed has looked at the whole road
	}
	action, arg, args := p.deed(step.Param())
	left := t.env.Rights.FilterItems(t.env.Person, p.node.Path(), action, arg, t.s.Screen.Items, args)
	return len(left) < len(t.s.Screen.Items)
}

func (t *turn) pages(sh Shown) int {
	return (len(sh.Items) + t.m.PageSize - 1) / t.m.PageSize
}

// fits reports whether a stored screen can belong to a place; it cannot only in a damaged session.
func fits(p place, sh Shown) bool {
	if sh.Page < 0 || sh.Seen < sh.Page || sh.Seen > len(sh.Items) {
		return false
	}
	step := p.current()
	switch sh.Kind {
	case wire.ScreenMenu:
		return step == nil || step.Dynamic != nil
	case wire.ScreenInput:
		return step != nil && step.Input != nil
	case wire.ScreenConfirm:
		return step != nil && step.Confirm != nil
	case wire.ScreenAccepted:
		return step == nil
	}
	return false
}

func integer(decimal string) int64 {
	n, _ := strconv.ParseInt(decimal, 10, 64) // Input.Read made it
	return n
}
