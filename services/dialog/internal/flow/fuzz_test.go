package flow_test

import (
	"encoding/json"
	"strings"
	"testing"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
)

// Damaged sessions, foreign screens, wrong lengths: an answer, never a panic, and no order but from a confirm.
func FuzzStep(f *testing.F) {
	w := richWorld(f)
	w.memo.Recent = []flow.Recent{{ID: "old", Node: "scale", Zone: "z", Pool: "p", Hops: []flow.Hop{{Param: "cluster", Text: "b1"}, {Param: "x"}}}}
	w.memo.Favourites = []string{"net", ""}
	k := &talk{t: f, w: w}
	add := func(text string) {
		state, err := json.Marshal(k.s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(strings.ReplaceAll(string(state), w.menu.Rev, "%REV%")), text, k.s.SentAt+1, "text")
	}
	for _, said := range []string{
		"菜单", "1", "2", "1", "2", "2", "1 4", "web", "全部", "*", "4", "0", "任务", "1", "2", "1", "00", "2-1", "10.0.0.1/8", "1", "99", "/网", "1", "00",
		"3-1", "a", "1", "今天", "最近", "1", "收藏", "卡片", "1",
	} {
		k.say(said)
		add("1")
		add("返回")
	}
	f.Add([]byte(`{"r":"%REV%","s":{"k":"menu","p":9000000000000000000,"e":9000000000000000000}}`), "+", int64(5), "text")
	f.Add([]byte(`{"r":"%REV%","s":{"k":"notice","n":9000000000000000000,"q":{"n":"output","a":"old"}},"u":{"k":"menu"}}`), "+", int64(5), "text")
	f.Add([]byte(`{"r":"%REV%","h":[{"n":"k8s"},{"p":"cluster","v":"b1"}],"a":[{"p":"cluster","v":"a1"},{"n":"ns"},{"p":"cluster"}],"s":{"k":"menu"}}`), "0", int64(5), "text")
	f.Add([]byte(`{"r":"%REV%","h":[{"n":"net"},{"n":"look"},{"p":"-","v":"x","c":true}],"s":{"k":"menu","v":{}}}`), "1", int64(5), "text")
	f.Fuzz(func(t *testing.T, state []byte, text string, sent int64, kind string) {
		var s flow.Session
		_ = json.Unmarshal([]byte(strings.ReplaceAll(string(state), "%REV%", w.menu.Rev)), &s) // what cannot be read is an empty session
		in := flow.Fold(text)
		r := w.step(t, s, flow.Event{ID: "f", Type: kind, Text: text, SentAt: sent, Event: flow.EventCard, Card: s.Screen.Card, Key: text})
		if r.Intent != nil && (s.Screen.Kind != wire.ScreenConfirm || in != "1" && in != s.Screen.Code) {
			t.Fatalf("an order out of %s and %q", state, text)
		}
		if r.Session.Open() {
			if r := w.step(t, r.Session, flow.Event{ID: "x", Type: "text", Text: "退出", SentAt: 1<<63 - 1}); r.Session.Open() {
				t.Fatal("no way out")
			}
		}
	})
}
