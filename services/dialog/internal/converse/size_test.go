package converse_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"palmops/libs/wire"
	"palmops/services/dialog/internal/flow"
	"palmops/services/dialog/internal/session/sessiontest"
	"palmops/services/dialog/policy"
)

// What a whole conversation leaves in Redis, with everything that belongs to it: see package session for the same with more
// people.
func TestSessionsAreSmall(t *testing.T) {
	const most, people = 1000, 400
	s := newStage(t)
	s.passive = true
	s.answer = func(q flow.Question) (flow.Answer, error) {
		var a flow.Answer
		for i, name := range []string{"order-service", "order-query", "payment-gateway", "inventory-sync", "coupon-center", "member-profile", "promotion-engine", "shop"} {
			a.Items = append(a.Items, wire.Item{Value: name, Detail: fmt.Sprintf("%d/%d", i+1, i+2)})
		}
		return a, nil
	}
	var err error
	if s.policy, err = policy.Parse("policy.yaml", []byte("version: 1\nroles: {all: {departments: [1]}}\ngrants: [{role: all, menu: [retail], actions: [k8s.scale]}]\n")); err != nil {
		t.Fatal(err)
	}
	s.departments = []int64{1, 23, 456}
	rdb := sessiontest.Patient(t, s.redis.URL())
	if err := rdb.ConfigSet(t.Context(), "appendonly", "no").Err(); err != nil {
		t.Fatal(err)
	}
	walk := func(user string) {
		for _, text := range []string{"菜单", "1", "1", "1", "8"} {
			s.settle(s.inbound(wire.Inbound{Type: "text", Text: text, User: user}))
		}
	}
	walk("first") // what is there once
	before := sessiontest.Used(t, rdb)
	for i := range people {
		walk(fmt.Sprintf("zhang.san%05d", i))
	}
	if got := s.last(); len(s.replies[len(s.replies)-1].Screens[0].Choices) != 8 {
		t.Fatal(got)
	}
	forget(t, rdb)
	per := (sessiontest.Used(t, rdb) - before) / people
	t.Logf("%d bytes for each session", per)
	if per > most {
		t.Errorf("a session takes %d bytes, more than %d", per, most)
	}
}

// forget lets the time pass for which replies to earlier messages are kept.
func forget(t *testing.T, rdb *redis.Client) {
	t.Helper()
	keys, err := rdb.Keys(t.Context(), "*:before").Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := rdb.Del(t.Context(), keys...).Err(); err != nil {
		t.Fatal(err)
	}
}
