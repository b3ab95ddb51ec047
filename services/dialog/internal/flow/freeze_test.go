package flow_test

import (
	"testing"

	"palmops/services/dialog/internal/flow"
)

const frozenRetail = `
version: 1
roles: {r: {users: [zhangsan]}}
grants: [{role: r, menu: [retail], actions: [k8s.*], args: {namespace: [shop]}}]
freezes: [{name: sale, from: "2026-11-23 12:00", to: "2026-11-25 06:00", reason: {zh: 大促封网, en: the sale}}]
`

func TestAFreezeIsTold(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.grant(t, frozenRetail)
	k.w.now = noon - 1000
	k.play("> 菜单\n! 冻结\n> 1-1\n1. 调整 POD 数\n! 冻结\n")
	k.w.now = noon
	k.play("> 1\n冻结中：大促封网（至 11-25 06:00），没有执行任何操作\n1. 查看部署\n冻结中：大促封网（至 11-25 06:00），部分功能不可用\n= repeat frozen\n")
	k.play("> English\nFrozen: the sale (until 11-25 06:00), some functions are not available\n")
}

func TestAFreezeThatBeginsAtTheConfirm(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.grant(t, frozenRetail)
	k.w.now = noon - 1000
	k.play("> 菜单\n> 1-1-1\n> 1\n> 2\n> 5\n请确认\n")
	k.w.now = noon
	if r := k.say("1"); r.Intent != nil || r.Reason != flow.ReasonFrozen {
		t.Errorf("%+v", r)
	}
	k.wants("冻结中：大促封网（至 11-25 06:00），没有执行任何操作", "1. 查看部署", "! 1. 调整")
}

func TestEverythingIsFrozen(t *testing.T) {
	k := &talk{t: t, w: newWorld(t)}
	k.w.grant(t, `
version: 1
roles: {r: {users: [zhangsan]}}
grants: [{role: r, menu: [retail], actions: [k8s.scale]}]
freezes: [{name: sale, from: "2026-11-23 12:00", to: "2026-11-25 06:00", reason: {zh: 大促封网}}]
`)
	k.w.now = noon
	k.play("> 菜单\n没有可用的功能\n冻结中：大促封网（至 11-25 06:00），没有执行任何操作\n= open frozen\n")
}
