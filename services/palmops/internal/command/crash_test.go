package command

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"palmops/libs/redistest"
	"palmops/services/simulator/client"
)

// say types text and waits for a message that holds want; it returns that message.
func (w *whole) say(ctx context.Context, user, text, want string) string {
	w.t.Helper()
	last, err := w.phones.Last(ctx, user)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.phones.Client.Say(ctx, client.SayRequest{User: user, Text: text}); err != nil {
		w.t.Fatalf("%s says %q: %v", user, text, err)
	}
	return w.hear(ctx, user, last, want)
}

// hear waits for a message that holds one of the wanted texts.
func (w *whole) hear(ctx context.Context, user string, after int64, want ...string) string {
	w.t.Helper()
	var got []string
	for {
		texts, last, err := w.phones.Heard(ctx, user, after)
		if err != nil {
			w.t.Fatalf("%s waits for %q, got %q: %v\n%s", user, want, got, err, w.proc.output())
		}
		after = last
		got = append(got, texts...)
		for _, t := range texts {
			if slices.ContainsFunc(want, func(part string) bool { return strings.Contains(t, part) }) {
				return t
			}
		}
	}
}

// generation counts the changes of a practice deployment's spec: the effects of scaling. The object's own generation counts
// annotations too, such as the fence that a probe leaves.
func (w *whole) generation(ctx context.Context, namespace, name string) (generation int64, replicas int32) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.proc.find(`cluster +(http://\S+)`)+"/apis/apps/v1/namespaces/"+namespace+"/deployments/"+name, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close(); http.DefaultClient.CloseIdleConnections() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var d struct {
		Metadata struct {
			Generation  int64
			Annotations map[string]string
		}
		Spec struct{ Replicas int32 }
	}
	if err := json.Unmarshal(body, &d); err != nil {
		w.t.Fatalf("%s: %v", body, err)
	}
	changes, _ := strconv.ParseInt(d.Metadata.Annotations[specChanges], 10, 64) // none is 0
	return changes, d.Spec.Replicas
}

// number is the one in front of a label.
func number(t testing.TB, screen, label string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^(\d+)\. ` + regexp.QuoteMeta(label)).FindStringSubmatch(screen)
	if m == nil {
		t.Fatalf("no %q on\n%s", label, screen)
	}
	return m[1]
}

// road walks to the confirm of scaling shop/<deployment>, calling between after each answer.
func (w *whole) road(ctx context.Context, deployment, replicas string, between func()) {
	w.t.Helper()
	w.say(ctx, "zhangsan", "菜单", "1. 零售事业部")
	between()
	w.say(ctx, "zhangsan", "1", "1. Kubernetes 操作")
	between()
	w.say(ctx, "zhangsan", "1", "1. 调整 POD 数")
	between()
	w.say(ctx, "zhangsan", "1", "1. shop")
	between()
	list := w.say(ctx, "zhangsan", "1", deployment)
	between()
	w.say(ctx, "zhangsan", number(w.t, list, deployment), "新的副本数")
	between()
	w.say(ctx, "zhangsan", replicas, "→ "+replicas)
	between()
}

// stores are where sessions can be.
func stores(t *testing.T, test func(t *testing.T, env string)) {
	t.Run("redis", func(t *testing.T) { test(t, "REDIS_URL="+redistest.New(t).URL()) })
	t.Run("embedded", func(t *testing.T) { test(t, "REDIS_URL=") })
}

// TestKilledBetweenAnyTwoNumbers: kill -9 of the whole process between any two messages changes nothing in the
// conversation, and the action takes effect once, with one receipt and one result. Where the executor died after it had
// claimed the action and before it changed anything, the result says just that, and nothing was changed.
func TestKilledBetweenAnyTwoNumbers(t *testing.T) {
	stores(t, func(t *testing.T, env string) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		w := newWhole(t, env)
		before, _ := w.generation(ctx, "shop", "web")
		w.road(ctx, "web", "5", w.killAndRestart)
		last, err := w.phones.Last(ctx, "zhangsan")
		if err != nil {
			t.Fatal(err)
		}
		w.say(ctx, "zhangsan", "1", "已受理")
		w.killAndRestart() // at once, with the action under way
		const untouched = "没有被修改"
		changes, wanted := int64(1), int32(5)
		if end := w.hear(ctx, "zhangsan", last, "5/5", untouched); strings.Contains(end, untouched) {
			changes, wanted = 0, 3
		}
		w.killAndRestart()
		if after, replicas := w.generation(ctx, "shop", "web"); after != before+changes || replicas != wanted {
			t.Errorf("the deployment was changed %d times, to %d replicas", after-before, replicas)
		}
		all, _, err := w.phones.Heard(ctx, "zhangsan", 0)
		if err != nil {
			t.Fatal(err)
		}
		// Seven screens, one receipt, one result, and perhaps lines of progress. An answer may come late, marked as one, and where
		// everything dies in the moment after WeCom had it, once more.
		receipts, results, late := map[string]bool{}, 0, 0
		for _, text := range all {
			if strings.Contains(text, "的回复（") {
				late++
			}
			switch m := regexp.MustCompile(`已受理 (#\w+)`).FindStringSubmatch(text); {
			case m != nil:
				receipts[m[1]] = true
			case strings.Contains(text, "5/5"), strings.Contains(text, untouched):
				results++
			case len(receipts) > 0 && !strings.Contains(text, "进行中") && !strings.Contains(text, "的回复（"):
				t.Errorf("nobody asked for this:\n%s", text)
			}
		}
		t.Logf("%d of %d messages came as late answers", late, len(all))
		if len(receipts) != 1 || results != 1 {
			t.Errorf("receipts %v, %d results in\n%s", receipts, results, strings.Join(all, "\n"))
		}
	})
}

// TestKilledWhileAnActionRuns: the process dies while pods come up. After its restart the person is told, unasked, what became
// of the action, and it is not done again.
func TestKilledWhileAnActionRuns(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	w := newWhole(t, "REDIS_URL="+redistest.New(t).URL())
	before, _ := w.generation(ctx, "shop", "stuck")
	w.road(ctx, "stuck", "2", func() {})
	accepted := w.say(ctx, "zhangsan", "1", "已受理")
	id := regexp.MustCompile(`#[0-9A-Z]{6}`).FindString(accepted)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for g := before; g == before; g, _ = w.generation(ctx, "shop", "stuck") {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the action never began")
		}
	}
	last, err := w.phones.Last(ctx, "zhangsan")
	if err != nil {
		t.Fatal(err)
	}
	w.killAndRestart()
	told := w.hear(ctx, "zhangsan", last, id)
	if strings.Contains(told, "进行中") {
		told = w.hear(ctx, "zhangsan", last, "】")
	}
	t.Log(told)
	if after, replicas := w.generation(ctx, "shop", "stuck"); after != before+1 || replicas != 2 {
		t.Errorf("the deployment was changed %d times, to %d replicas", after-before, replicas)
	}
}
