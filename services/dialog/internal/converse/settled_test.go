package converse

import (
	"context"
	"errors"
	"testing"

	"palmops/services/dialog/internal/session"
)

// newest is a store with one reply.
type newest struct {
	reply []byte
	marks string
	err   error
}

func (n newest) Newest(context.Context, session.Who) ([]byte, string, error) {
	return n.reply, n.marks, n.err
}

func TestSettled(t *testing.T) {
	reply := (&record{Order: &order{ID: "a"}}).encode()
	for name, c := range map[string]struct {
		store newest
		want  bool
	}{
		"not told yet":     {newest{reply: reply, marks: ordered}, false},
		"with the gateway": {newest{reply: reply, marks: ordered + given}, true},
		"pushed":           {newest{reply: reply, marks: ordered + pushed}, true},
		"another order":    {newest{reply: (&record{Order: &order{ID: "b"}}).encode()}, true},
		"no order":         {newest{reply: (&record{}).encode()}, true},
		"nothing":          {newest{}, true},
		"damaged":          {newest{reply: []byte("{")}, true},
		"store away":       {newest{err: errors.New("away")}, false},
	} {
		got, err := Settled{c.store}.Settled(t.Context(), session.Who{}, "a")
		if got != c.want || (err != nil) != (c.store.err != nil) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}
