package answer

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/fault"
	"palmops/libs/wire"
)

// TestNoSecretInAnAnswer: whatever part of an answer a secret is in, it does not leave; what the kind holds stays as it is.
func TestNoSecretInAnAnswer(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	made := wire.Answer{
		Items:  []wire.Item{{Value: secret, Label: "a " + secret, Detail: "password=x"}, {Value: "plain"}},
		Fields: map[string]string{"password": "short", "host": "db", "note": "has " + secret},
		View:   &wire.View{Title: secret, Body: []string{"one", "mysql://a:b@c"}, Items: []wire.Item{{Value: "1", Label: secret}}, Refuse: secret, Value: secret},
	}
	before, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	s, sign, _ := newServer(t, nil, func(context.Context) (wire.Answer, error) { return made, nil })
	data, err := json.Marshal(question(t, sign, func(*wire.Claims) {}))
	if err != nil {
		t.Fatal(err)
	}
	got := s.Answer(t.Context(), data)
	got.V, got.AsOf = 0, 0
	want := wire.Answer{
		Items:  []wire.Item{{Value: "****", Label: "a ****", Detail: "password=****"}, {Value: "plain"}},
		Fields: map[string]string{"password": "****", "host": "db", "note": "has ****"},
		View:   &wire.View{Title: "****", Body: []string{"one", "mysql://a:****@c"}, Items: []wire.Item{{Value: "1", Label: "****"}}, Refuse: "****", Value: "****"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if after, _ := json.Marshal(made); string(after) != string(before) {
		t.Errorf("the kind's own answer was changed: %s", after)
	}
	s, sign, _ = newServer(t, nil, func(context.Context) (wire.Answer, error) {
		return wire.Answer{}, fault.WithText(fault.New(fault.Transient, "x"), "refused: "+secret)
	})
	if data, err = json.Marshal(question(t, sign, func(*wire.Claims) {})); err != nil {
		t.Fatal(err)
	}
	if got := s.Answer(t.Context(), data); got.Fault == nil || strings.Contains(got.Fault.Text, secret) || !strings.Contains(got.Fault.Text, "****") {
		t.Errorf("%+v", got)
	}
}
