package command

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"palmops/services/simulator/client"
)

// deployments are those of shop that get ready.
var deployments = []string{"web", "api", "cart", "worker"}

// orderer is a person who gives orders while things break: says a thing again when it was not taken, waits for an answer that comes
// late, and begins at the top when the answer is not the one that leads on.
type orderer struct {
	s      *split
	user   string
	rnd    *rand.Rand
	placed []*placed
	late   int // answers that came by push

	read  int64           // up to here the messages were read for ends
	ended map[string]bool // by short id: whose end was told
}

// placed is an order that was called accepted.
type placed struct {
	change
	id   string // short, with #
	same bool   // told was that the target had been so before
}

var arrow = regexp.MustCompile(`(\d+) → (\d+)`)

// order walks until an order was accepted.
func (w *orderer) order(ctx context.Context) error {
	name, err := w.choose(ctx)
	for ok := false; !ok && err == nil; {
		ok, err = w.walk(ctx, name)
	}
	return err
}

// choose is the deployment for the next order: mostly one that the person's own orders have left alone. When there is none, the person
// waits for an end.
func (w *orderer) choose(ctx context.Context) (string, error) {
	name := deployments[w.rnd.IntN(len(deployments))]
	if w.rnd.IntN(5) == 0 {
		return name, nil
	}
	for {
		var free []string
		for _, d := range deployments {
			if !slices.ContainsFunc(w.placed, func(p *placed) bool { return p.deployment == d && !w.ended[p.id] }) {
				free = append(free, d)
			}
		}
		if len(free) > 0 {
			return free[w.rnd.IntN(len(free))], nil
		}
		texts, last, err := w.s.page.phones.Heard(ctx, w.user, w.read)
		if err != nil {
			return "", fmt.Errorf("%s waits for an end: %w", w.user, err)
		}
		w.read = last
		for _, text := range texts {
			if h := finalHead.FindStringSubmatch(text); h != nil {
				w.ended[h[2]] = true
			}
		}
	}
}

// walk is one try; it is not ok when an answer did not lead on.
func (w *orderer) walk(ctx context.Context, name string) (ok bool, err error) {
	to := 1 + w.rnd.IntN(6)
	answer := ""
	for _, step := range []struct{ text, want string }{
		{"菜单", "零售事业部"},
		{"*零售事业部", "Kubernetes 操作"},
		{"*Kubernetes 操作", "调整 POD 数"},
		{"*调整 POD 数", "shop"},
		{"*shop", name},
		{"*" + name, "新的副本数"},
		{strconv.Itoa(to), "确认"},
	} {
		text := step.text
		if label, listed := strings.CutPrefix(text, "*"); listed {
			m := regexp.MustCompile(`(?m)^(\d+)\. ` + regexp.QuoteMeta(label)).FindStringSubmatch(answer)
			if m == nil {
				return false, nil
			}
			text = m[1]
		}
		if answer, err = w.say(ctx, text); err != nil {
			return false, err
		}
		if !strings.Contains(answer, step.want) {
			return false, nil
		}
	}
	m := arrow.FindStringSubmatch(answer)
	if m == nil || m[1] == m[2] || !strings.Contains(answer, "shop/"+name) {
		return false, nil // it has this number already, or things have moved
	}
	from, _ := strconv.Atoi(m[1])
	if answer, err = w.say(ctx, "1"); err != nil {
		return false, err
	}
	id := actionID.FindString(answer)
	if !strings.Contains(answer, "已受理 #") || id == "" {
		return false, nil
	}
	w.placed = append(w.placed, &placed{change: change{name, from, to}, id: id})
	return true, nil
}

// say is one message, delivered until it is taken, and its answer.
func (w *orderer) say(ctx context.Context, text string) (string, error) {
	before, err := w.s.page.phones.Last(ctx, w.user)
	if err != nil {
		return "", err
	}
	plain, _ := w.s.outside.Typed(w.user, text)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := w.s.outside.Post(ctx, plain)
		switch {
		case ctx.Err() != nil:
			return "", fmt.Errorf("%s says %q and is never answered: %w", w.user, text, errors.Join(err, ctx.Err()))
		case err != nil || strings.HasPrefix(answer, "未受理") || strings.HasPrefix(answer, "不能确定是否已受理"):
		case answer == "" || strings.HasPrefix(answer, slow):
			return w.hear(ctx, before, "「"+text+"」"+pushed)
		default:
			return answer, nil
		}
		<-tick.C // a gateway is coming up
	}
}

// hear waits for the push that begins with head.
func (w *orderer) hear(ctx context.Context, after int64, head string) (string, error) {
	for {
		all, err := w.s.page.phones.Client.Messages(ctx, w.user, uint64(after), client.MaxWait)
		if err != nil {
			return "", fmt.Errorf("%s waits for %q, after %d: %w", w.user, head, after, err)
		}
		if i := slices.IndexFunc(all, func(m client.Message) bool { return strings.Contains(m.Text, head) }); i >= 0 {
			w.late++
			return all[i].Text, nil
		}
		if len(all) > 0 {
			after = int64(all[len(all)-1].Seq)
		}
	}
}
