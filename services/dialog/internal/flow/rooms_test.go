package flow_test

import (
	"testing"

	"palmops/libs/wire"
)

// A room lies over the road: what stood there comes back as it was.
func TestTheScreenUnderARoomComesBack(t *testing.T) {
	for _, way := range []string{"> 菜单\n> 1\n", toRestart + "> 1 2\n", toScale, "> 菜单\n> 3\n"} {
		k, _ := ordered(t)
		k.w.memo.Favourites = []string{"net"}
		k.play(way)
		before := k.s.Screen
		for _, room := range []string{"最近", "收藏", "我的任务", "/网络"} {
			k.say(room)
			if k.s.Under == nil || k.s.Screen.Room.Name == "" {
				t.Fatalf("%s: %+v", room, k.s)
			}
			k.say("/集群", room, "0")
			got := k.s.Screen
			if got.Kind != before.Kind || len(got.Items) != len(before.Items) || len(got.Picked) != len(before.Picked) || got.Code != before.Code ||
				got.At != before.At || k.s.Under != nil {
				t.Errorf("%s over %s:\n%+v\n%+v", room, way, before, got)
			}
		}
	}
}

// A number typed for a room must not meet the confirm under it, nor the other way round.
func TestARoomOverAConfirm(t *testing.T) {
	k, _ := ordered(t)
	k.play(toScale + "> 最近\n")
	if r := k.say("9"); r.Intent != nil || k.s.Screen.Room.Name == "" {
		t.Errorf("%+v", r)
	}
	k.play("> 返回\n请确认\n")
	if r := k.say("1"); r.Intent == nil || r.Intent.Action == wire.ActionCancel {
		t.Errorf("%+v", r)
	}
}
