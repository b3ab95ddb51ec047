package session_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"palmops/libs/redistest"
	"palmops/services/dialog/internal/session"
	"palmops/services/dialog/internal/session/sessiontest"
)

// most is what an open session may take of Redis, keys and all, in bytes.
const most = 1000

func TestSessionsAreSmall(t *testing.T) {
	rdb, s := sized(t)
	standing, walking := fill(t, s, rdb, 2000)
	t.Logf("%d bytes for each session, and %d more for 20 s after the last message of a fast typist", standing, walking-standing)
	if standing > most {
		t.Errorf("a session takes %d bytes, more than %d", standing, most)
	}
}

// BenchmarkSessions100k says how much Redis takes for 100,000 people who stand in a list.
func BenchmarkSessions100k(b *testing.B) {
	rdb, s := sized(b)
	for b.Loop() {
		if err := rdb.FlushAll(b.Context()).Err(); err != nil {
			b.Fatal(err)
		}
		standing, _ := fill(b, s, rdb, 100_000)
		b.ReportMetric(float64(standing), "B/session")
		b.ReportMetric(float64(standing)*100_000/1e6, "MB")
		if standing > most {
			b.Errorf("a session takes %d bytes, more than %d", standing, most)
		}
	}
}

func sized(t testing.TB) (*redis.Client, *session.Store) {
	rdb := sessiontest.Patient(t, redistest.New(t).URL())
	// The file that the test server writes has buffers of its own, which count as used.
	if err := rdb.ConfigSet(t.Context(), "appendonly", "no").Err(); err != nil {
		t.Fatal(err)
	}
	return rdb, session.New(rdb)
}

// fill walks many people to a list of eight lines. It returns the bytes for each: once they stand there, and right after
// they came, while the messages on the way may still be delivered again.
func fill(t testing.TB, s *session.Store, rdb *redis.Client, people int) (standing, walking int) {
	t.Helper()
	walk(t, s, people) // what is there once and not for each: scripts, connections
	forget(t, rdb)
	before := sessiontest.Used(t, rdb)
	var wg sync.WaitGroup
	const workers = 16
	for worker := range workers {
		wg.Go(func() {
			for i := worker; i < people && !t.Failed(); i += workers {
				walk(t, s, i)
			}
		})
	}
	wg.Wait()
	walking = (sessiontest.Used(t, rdb) - before) / people
	forget(t, rdb)
	return (sessiontest.Used(t, rdb) - before) / people, walking
}

// forget lets BeforeKept pass.
func forget(t testing.TB, rdb *redis.Client) {
	t.Helper()
	ctx := context.Background()
	keys := rdb.Scan(ctx, 0, "*:before", 10_000).Iterator()
	var gone []string
	for keys.Next(ctx) {
		gone = append(gone, keys.Val())
	}
	for len(gone) > 0 {
		n := min(len(gone), 1000)
		if err := rdb.Del(ctx, gone[:n]...).Err(); err != nil {
			t.Fatal(err)
		}
		gone = gone[n:]
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
}

// walk is the conversation of one person: three nodes, a namespace, and there they stand.
func walk(t testing.TB, s *session.Store, i int) {
	random := rand.New(rand.NewPCG(uint64(i), 1))
	who := session.Who{Corp: "ww5f2a9c1b7d3e4f60", App: "ops", User: fmt.Sprintf("zhang.san%05d", i)}
	namespace := words(random, 2)
	lists := [][]string{
		{"零售事业部", "支付事业部", "物流事业部", "会员事业部"},
		{"Kubernetes 操作", "MySQL 操作", "Redis 操作", "主机操作", "HTTP 接口"},
		{"调整 POD 数", "重启部署", "查看部署", "查看日志", "回滚"},
		{namespace, words(random, 2), words(random, 2), words(random, 1)},
		make([]string, 8),
	}
	for j := range lists[4] {
		lists[4][j] = words(random, 1+random.IntN(3))
	}
	var hops []string
	for step, labels := range lists {
		id := fmt.Sprintf("%016x%010x", random.Uint64(), random.Uint64()>>24)
		place := session.Place{Stream: "dpm0x8xnh1hc", Seq: uint64(i*10 + step + 1)}
		l, err := s.Load(context.Background(), who, id, place)
		if err != nil {
			t.Error(err)
			return
		}
		var items, choices []string
		for n, label := range labels {
			detail := fmt.Sprintf("%d/%d", 1+random.IntN(9), 1+random.IntN(9))
			items = append(items, fmt.Sprintf(`{"value":%q,"detail":%q}`, label, detail))
			choices = append(choices, fmt.Sprintf(`{"key":"%d","label":%q,"detail":%q}`, n+1, label, detail))
		}
		c := session.Commit{
			Who: who, ID: id, Place: place, From: l, By: l.Now.Add(time.Minute), SentAt: 1795459404 + int64(step),
			Path: strings.Repeat("-1", step), Rev: "a1b2c3d4e5f6", Timeout: 10 * time.Minute,
			State: []byte(fmt.Sprintf(`{"r":"a1b2c3d4e5f6","h":[%s],"s":{"k":"menu","i":[%s],"w":"%016x"},"t":%d}`,
				strings.Join(hops, ","), strings.Join(items, ","), random.Uint64(), 1795459404+step)),
			Reply: []byte(fmt.Sprintf(`{"s":[{"kind":"menu","title":"调整 POD 数","body":["选择部署（就绪/副本数）"],"choices":[%s],"keys":"0 返回 · 00 首页 · # 退出 · ? 帮助"}]}`,
				strings.Join(choices, ","))),
			Person: []byte(fmt.Sprintf(`{"n":"张三%d","d":[1,%d,%d],"t":[%d],"f":3,"o":%d}`, i, random.IntN(999), random.IntN(9999), random.IntN(99), 1795459404+random.IntN(1000))),
		}
		if o, _, _, err := s.Commit(context.Background(), c); err != nil || o != session.Stored {
			t.Errorf("%s: %v", o, err)
			return
		}
		if err := s.Mark(context.Background(), who, id, "g"); err != nil {
			t.Error(err)
			return
		}
		hop := fmt.Sprintf(`{"t":"1","n":"retail-%s"}`, []string{"k8s", "k8s", "scale", "", ""}[step])
		if step == 3 {
			hop = fmt.Sprintf(`{"t":"1","p":"namespace","v":%q}`, namespace)
		}
		hops = append(hops, hop)
	}
}

// words is a name as people give to services.
func words(r *rand.Rand, n int) string {
	list := strings.Fields(`order payment gateway inventory sync coupon center member profile promotion engine delivery tracker api web
		admin report billing invoice search recommend cart checkout stock price rule risk settle ledger notify sms push
		mail auth sso session config registry job scheduler worker stream etl feature flag image upload media live chat
		crm erp wms tms pos mall portal open mobile h5 canary stable v2 v3 prod pre gray beijing shanghai hangzhou`)
	parts := make([]string, 1+n)
	for i := range parts {
		parts[i] = list[r.IntN(len(list))]
	}
	return strings.Join(parts, "-")
}
