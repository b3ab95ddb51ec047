package flow

import (
	"time"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// maxRemembered is how many bytes of a value are kept for giving an order again; a longer one is asked again.
const maxRemembered = 512

// remember puts the order of the road hops in front of the recent ones.
func (t *turn) remember(i *Intent, hops []Hop) {
	memo := t.remembered()
	r := Recent{ID: i.ID, Noop: i.Noop, Node: i.Node, Zone: i.Zone, Pool: i.Pool, Title: i.Title, At: t.env.Now / 1000}
	if at := lastNode(hops); at < len(hops) {
		r.Node = hops[at].Node // a link leads there as well
	}
	for _, h := range hops {
		if h.Param != "" && !h.Part && len(h.Text) <= maxRemembered {
			r.Hops = append(r.Hops, h)
		}
	}
	recent := append([]Recent{r}, memo.Recent...)
	memo.Recent = recent[:min(len(recent), MaxRecent)]
	t.memo = &memo
}

func (t *turn) recent() Result {
	list := t.remembered().Recent
	if len(list) == 0 {
		t.why = ReasonInvalid
		return t.again(t.say("recent.none"))
	}
	sh := Shown{Kind: wire.ScreenMenu, Room: Room{Name: roomRecent}}
	for _, r := range list[:min(len(list), MaxRecent)] {
		if r.Noop {
			continue // to be found among the tasks; who repeats it wants the order itself
		}
		sh.Items = append(sh.Items, wire.Item{Value: r.ID, Label: clean(r.Title, menu.MaxLabel), Detail: t.when(r.At)})
	}
	if len(sh.Items) == 0 {
		t.why = ReasonInvalid
		return t.again(t.say("recent.none"))
	}
	return t.cover(sh, "")
}

// recentPrompt says what choosing one of the recent orders does.
func (t *turn) recentPrompt(sh Shown) string {
	for _, it := range sh.Items {
		r, _ := t.given(it.Value)
		if n := t.m.Node(r.Node); n != nil && n.Target().Order() != nil && n.Target().Order().Report {
			return t.say("recent.prompt_reports")
		}
	}
	return t.say("recent.prompt")
}

// when is a time as a line shows it.
func (t *turn) when(seconds int64) string {
	return time.Unix(seconds, 0).In(t.clock().Location()).Format("01-02 15:04")
}

func (t *turn) recentLine(i int) Result { return t.repeat(t.s.Screen.Items[i].Value) }

// repeat prepares an order that was given before, up to its confirm. A report, which has none, is ordered again.
func (t *turn) repeat(id string) Result {
	t.did = DidJump
	r, ok := t.given(id)
	n := t.m.Node(r.Node)
	if !ok || n == nil {
		t.why = ReasonInvalid
		return t.again(t.say("recent.gone"))
	}
	return t.jump(n, r.Hops)
}

// given finds a recent order.
func (t *turn) given(id string) (Recent, bool) {
	for _, r := range t.remembered().Recent {
		if r.ID == id {
			return r, true
		}
	}
	return Recent{}, false
}
