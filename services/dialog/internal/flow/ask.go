package flow

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"palmops/libs/wire"
	"palmops/services/dialog/menu"
)

// askSource asks an executor, with the arguments of a source and more beside them. Q says what is wanted.
func (t *turn) askSource(p place, src menu.Source, q Question, more ...string) (a Answer, need *Question, failed string) {
	args, err := src.Values(p.params, nil)
	if err == nil {
		for i := 0; i+1 < len(more); i += 2 {
			args[more[i]] = more[i+1]
		}
		for name, a := range src.Args {
			if a.Param != "" && args[name] == "" {
				return Answer{}, nil, t.say("ask.empty", t.label(p.node, a.Param))
			}
		}
	}
	var canonical json.RawMessage
	if err == nil {
		canonical, err = wire.CanonicalArgs(args)
	}
	if err != nil {
		return Answer{}, nil, t.say("ask.args")
	}
	q.Node, q.Zone, q.Pool, q.Action, q.Args = p.node.ID, src.Zone, src.Pool, src.Action, args
	q.Key = strings.Join([]string{q.What, src.Zone, src.Pool, src.Action, string(canonical)}, " ")
	return t.ask(q)
}

// askDirectory asks for members or departments.
func (t *turn) askDirectory(p place, d *menu.Dynamic) (a Answer, need *Question, failed string) {
	q := Question{What: AskDirectory, Node: p.node.ID, Directory: d.Directory, Cache: d.Cache, Stale: d.Stale}
	if d.In != nil {
		in := d.In.Literal
		if d.In.Param != "" {
			in = p.params[d.In.Param]
		}
		switch v := in.(type) {
		case int64:
			q.In = v
		case string:
			n, err := strconv.ParseInt(v, 10, 64)
			if v == "" {
				return Answer{}, nil, t.say("ask.empty", t.label(p.node, d.In.Param))
			}
			if err != nil {
				return Answer{}, nil, t.say("ask.args")
			}
			q.In = n
		default:
			return Answer{}, nil, t.say("ask.args")
		}
	}
	q.Key = strings.Join([]string{q.What, q.Directory, strconv.FormatInt(q.In, 10)}, " ")
	return t.ask(q)
}

// ask finds the answer to a question of this step, or says that it must be asked.
func (t *turn) ask(q Question) (a Answer, need *Question, failed string) {
	a, ok := t.env.Answers[q.Key]
	switch {
	case !ok:
		return Answer{}, &q, ""
	case a.Fault != "":
		return Answer{}, nil, t.retryHint(clean(a.Fault, 120))
	}
	return a, nil, ""
}

// retryHint adds how to try again: the very same input does it, since the screen stays.
func (t *turn) retryHint(text string) string {
	if t.press {
		return t.say("retry.press", trimRetry(text))
	}
	if t.ev.Type != "text" || len(t.in) > 20 || t.in == "" || !t.s.Open() {
		return text
	}
	return t.say("retry.text", trimRetry(text), clean(t.in, 20))
}

func trimRetry(text string) string {
	for _, end := range []string{"请稍后重试", "please try again later"} { //lang:word
		text = strings.TrimSuffix(text, end)
	}
	return strings.TrimRight(text, "。；，;., ")
}

// aged is a list's time when it is old enough to be told, 0 when the list is new.
func (t *turn) aged(asOf int64) int64 {
	if asOf <= 0 || t.env.Now-asOf <= (5*time.Second).Milliseconds() {
		return 0
	}
	return asOf
}

// age says how old a list is.
func (t *turn) age(asOf int64) string {
	switch s := (t.env.Now - asOf) / 1000; {
	case s < 120:
		return t.say("list.age_seconds", max(s, 0))
	case s < 2*3600:
		return t.say("list.age_minutes", s/60)
	default:
		return t.say("list.age_hours", s/3600)
	}
}
