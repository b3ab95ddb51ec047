package flow

import (
	"time"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// maxRemembered is how many bytes of a value are kept for giving an order again; a longer one is asked again.
const maxRemembered = 512

// remember puts an order in front of the recent ones.
func (t *turn) remember(i *Intent) {
	memo := t.remembered()
	r := Recent{ID: i.ID, Node: i.Node, Zone: i.Zone, Pool: i.Pool, Title: i.Title, At: t.env.Now / 1000}
	if at := lastNode(t.s.Hops); at < len(t.s.Hops) {
		r.Node = t.s.Hops[at].Node // a link leads there as well
	}
	for _, h := range t.s.Hops {
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
		sh.Items = append(sh.Items, wire.Item{Value: r.ID, Label: clean(r.Title, menu.MaxLabel), Detail: t.when(r.At)})
	}
	return t.cover(sh, "")
}

// when is a time as a line shows it.
func (t *turn) when(seconds int64) string {
	return time.Unix(seconds, 0).In(t.clock().Location()).Format("01-02 15:04")
}

func (t *turn) recentLine(i int) Result { return t.repeat(t.s.Screen.Items[i].Value) }

// repeat prepares an order that was given before, up to its confirm.
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
