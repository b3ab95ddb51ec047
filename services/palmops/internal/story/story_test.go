package story

import (
	"context"
	"errors"
	"strings"
	"testing"
)

const sample = `A short talk.
-- story --
# greeting
zhangsan> 菜单
  掌上运维
  1. 零售事业部
  ! 支付事业部
zhangsan> [零售事业部]
  Kubernetes
zhangsan> {Kubernetes (..)}
  一行
zhangsan! 确认
  已受理
zhangsan< later
  5/5
replace policy.yaml other.yaml
-- other.yaml --
version: 1
`

// script is a world that answers from a table and gives one later message.
type script struct {
	answers  map[string]string
	box      []string
	told     bool // the later message was given
	replaced string
}

func (s *script) Say(_ context.Context, _, text string) error {
	s.box = append(s.box, s.answers[text])
	return nil
}

func (s *script) Press(ctx context.Context, user, label string) error {
	return s.Say(ctx, user, "!"+label)
}

func (s *script) Heard(_ context.Context, _ string, after int64) ([]string, int64, error) {
	if int(after) == len(s.box) {
		if s.answers["later"] == "" || s.told {
			return nil, after, errors.New("silence")
		}
		s.told = true
		s.box = append(s.box, s.answers["later"])
	}
	return s.box[after:], int64(len(s.box)), nil
}

func (s *script) Last(context.Context, string) (int64, error) { return int64(len(s.box)), nil }

func (s *script) Replace(_ context.Context, name string, data []byte) error {
	if string(data) == "broken" {
		return errors.New("refused")
	}
	s.replaced = name + ":" + string(data)
	return nil
}

func TestPlay(t *testing.T) {
	st, err := Parse("sample", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]string{"菜单": "掌上运维\n1. 零售事业部", "1": "Kubernetes 操作", "操作": "一行\n两行", "!确认": "已受理", "later": "5/5 就绪"}
	w := &script{answers: good}
	if err := Play(t.Context(), w, st, func(string) {}); err != nil {
		t.Fatal(err)
	}
	if w.replaced != "policy.yaml:version: 1\n" {
		t.Errorf("replaced %q", w.replaced)
	}
	for name, change := range map[string][2]string{
		"missing text":   {"1", "something else"},
		"forbidden text": {"菜单", "掌上运维\n1. 零售事业部\n2. 支付事业部"},
		"nothing found":  {"1", "Kubernetes"},
		"dead button":    {"!确认", "已失效"},
		"no such label":  {"菜单", "掌上运维 1. 零售事业部"},
		"nothing later":  {"later", ""},
	} {
		answers := map[string]string{}
		for k, v := range good {
			answers[k] = v
		}
		answers[change[0]] = change[1]
		if err := Play(t.Context(), &script{answers: answers}, st, func(string) {}); err == nil || !strings.Contains(err.Error(), "story line") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no story":          "about\n-- other --\nx\n",
		"nobody speaks":     "-- story --\n# nothing\n",
		"expect first":      "-- story --\n  hello\n",
		"unknown line":      "-- story --\nhello\n",
		"unknown file":      "-- story --\nreplace policy.yaml nowhere\n",
		"expect at replace": "-- story --\nreplace policy.yaml f\n  x\n-- f --\n",
	} {
		if _, err := Parse(name, []byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRefused(t *testing.T) {
	for file, ok := range map[string]bool{"broken": true, "fine": false} {
		st, err := Parse("x", []byte("-- story --\nrefused menu.yaml f\n-- f --\n"+file))
		if err != nil {
			t.Fatal(err)
		}
		st.Files["f"] = []byte(file)
		if err := Play(t.Context(), &script{}, st, func(string) {}); (err == nil) != ok {
			t.Errorf("%s: %v", file, err)
		}
	}
}
