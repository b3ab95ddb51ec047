package command

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"palmops/libs/conf"
	"palmops/libs/wire"
)

// soakEnv is for how many minutes the loop runs, and behind it, if wanted, the seed: PALMOPS_SOAK="30 12345". Without it, it
// runs for a few faults.
const soakEnv = "PALMOPS_SOAK"

// loopRounds is how often each process meets a fault in every test run.
const loopRounds = 2

// TestSplitLoop: two people scale deployments, now and then the same one, while one process after the other, among them the sample
// executor in Python, is killed, or frozen and
// then thawed or killed, and comes back. In the end what people were told, the records, and what the cluster went through are the same.
func TestSplitLoop(t *testing.T) {
	t.Parallel()
	seed, length := uint64(time.Now().UnixNano()), time.Duration(0)
	if text, _ := conf.Env(soakEnv); text != "" {
		words := strings.Fields(text)
		minutes, err := strconv.Atoi(words[0])
		if err != nil {
			t.Fatalf("%s: %v", soakEnv, err)
		}
		length = time.Duration(minutes) * time.Minute
		if len(words) > 1 {
			if seed, err = strconv.ParseUint(words[1], 10, 64); err != nil {
				t.Fatalf("%s: %v", soakEnv, err)
			}
		}
	}
	t.Logf("seed %d; again with %s=\"%d %d\"", seed, soakEnv, int(length.Minutes()), seed)
	ctx, cancel := context.WithTimeout(t.Context(), length+5*time.Minute)
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()
	s := newSplit(t)
	c := s.follow(ctx)
	people := []*orderer{{s: s, user: "zhangsan", ended: map[string]bool{}}, {s: s, user: "lisi", ended: map[string]bool{}}}
	working, stop := context.WithCancel(ctx)
	defer stop()
	for i, w := range people {
		w.rnd = rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for working.Err() == nil {
				if err := w.order(ctx); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	f := &faults{s: s, python: s.python(), rnd: rand.New(rand.NewPCG(seed, 99)), count: map[string]int{}}
	for n, end := 0, time.Now().Add(length); n < loopRounds || time.Now().Before(end); n++ {
		f.round(ctx)
	}
	stop() // after the order in hand
	wg.Wait()
	t.Logf("faults: %v", f.count)
	if t.Failed() {
		return
	}
	l := &ledger{s: s, told: map[string][]string{}, orders: map[string]*placed{}}
	for _, w := range people {
		l.take(w)
	}
	l.check(ctx, people, c)
}

// faults are what happens to the processes, one at a time.
type faults struct {
	s      *split
	python *proc // the sample executor, beside the two others
	rnd    *rand.Rand
	count  map[string]int
}

// round is one fault for each process.
func (f *faults) round(ctx context.Context) {
	s := f.s
	type victim struct {
		service string
		proc    **proc
	}
	all := []victim{
		{"gateway", &s.gateway},
		{"dialog", &s.dialogs[0]},
		{"dialog", &s.dialogs[1]},
		{"executor", &s.executors[0]},
		{"executor", &s.executors[1]},
		{"python", &f.python},
	}
	f.rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, v := range all {
		f.pass(ctx, f.rnd.IntN(700))
		how := f.rnd.IntN(4)
		if how > 1 {
			(*v.proc).freeze()
			still := f.rnd.IntN(3000)
			if v.service != "gateway" && v.service != "dialog" && f.rnd.IntN(3) == 0 {
				still += 13_000 // past its lease: another one settles what it had begun
			}
			f.pass(ctx, still)
		}
		if how == 2 {
			(*v.proc).thaw()
			f.count[v.service+" thawed"]++
			continue
		}
		(*v.proc).kill()
		f.count[v.service+" killed"]++
		f.pass(ctx, f.rnd.IntN(1000))
		if v.service == "python" {
			*v.proc = s.python()
		} else {
			*v.proc = s.spawn(v.service)
		}
	}
}

// python starts the sample executor in the pool of the others.
func (s *split) python() *proc {
	s.t.Helper()
	cmd := exec.Command("/usr/bin/python3", "-B", "../../../executor/sample/python/executor.py", "--catalog", filepath.Join(s.config, "catalog.yaml"),
		"--keys", filepath.Join(s.config, "keys", "local.json"), "--nats", s.nats.URL())
	cmd.Env = append(os.Environ(), "PALMOPS_KUBE_SERVER="+s.cluster)
	p := startProc(s.t, "serving zone", cmd)
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("the sample executor (process %d) said:\n%s", cmd.Process.Pid, p.output())
		}
	})
	return p
}

// pass is the time between two faults: it is what is varied here, nothing is expected to have happened by then.
func (f *faults) pass(ctx context.Context, ms int) {
	timer := time.NewTimer(time.Duration(ms) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// ledger holds what was told against what is on record and what was done.
type ledger struct {
	s      *split
	orders map[string]*placed  // by short id
	told   map[string][]string // the final states that were told, by short id
}

var heads = map[string]string{
	"已完成": wire.StateSucceeded, "失败": wire.StateFailed, "已取消": wire.StateCanceled, "超时": wire.StateTimeout,
	"已过期，没有执行": wire.StateExpired, "被拒绝，没有执行": wire.StateRejected, "结果未知": wire.StateUnknown,
}

var finalHead = regexp.MustCompile(`(` + strings.Join(slices.Collect(maps.Keys(heads)), "|") + `) (#[0-9A-Z]{6})`)

// take collects the orders of a person.
func (l *ledger) take(w *orderer) {
	for _, o := range w.placed {
		if l.orders[o.id] != nil {
			l.s.t.Errorf("two orders were accepted as %s", o.id)
		}
		l.orders[o.id] = o
	}
}

// listen reads again what was told to everybody.
func (l *ledger) listen(ctx context.Context, people []*orderer) {
	clear(l.told)
	for _, w := range people {
		all, err := l.s.page.phones.Client.Messages(ctx, w.user, 0, 0)
		if err != nil {
			l.s.t.Fatal(err)
		}
		for _, m := range all {
			if h := finalHead.FindStringSubmatch(m.Text); h != nil {
				l.told[h[2]] = append(l.told[h[2]], heads[h[1]])
				if o := l.orders[h[2]]; o != nil {
					o.same = strings.Contains(m.Text, "副本数本来就是")
				}
			}
		}
	}
}

// check waits until every action has ended and its end was told, and then looks at the sum of it.
func (l *ledger) check(ctx context.Context, people []*orderer, c *followed) {
	s := l.s
	records := map[string]wire.Record{}
	s.until(ctx, "every action has ended, and its end was told", func() bool {
		l.listen(ctx, people)
		for _, rec := range s.records(ctx) {
			records["#"+wire.ShortID(rec.ID)] = rec
		}
		for id := range l.orders {
			rec, told := records[id], l.told[id]
			if !wire.Final(rec.State) || len(told) == 0 || told[len(told)-1] != rec.State {
				return false
			}
		}
		return true
	})
	s.quiet(ctx)
	l.listen(ctx, people)
	ends, certain, possible := map[string]int{}, map[change]int{}, map[change]int{}
	for id, o := range l.orders {
		rec, told := records[id], l.told[id]
		ends[rec.State]++
		if last := told[len(told)-1]; last != rec.State || len(told) > 2 || len(told) == 2 && told[0] != wire.StateUnknown {
			s.t.Errorf("%s is %s, told was %q", id, rec.State, told)
		}
		switch rec.State {
		case wire.StateSucceeded, wire.StateTimeout, wire.StateCanceled:
			if !o.same {
				certain[o.change]++
			}
		case wire.StateUnknown:
			possible[o.change]++
		}
	}
	for id, rec := range records {
		if l.orders[id] == nil {
			s.t.Errorf("nobody was told that %s was accepted, and it is %s", id, rec.State)
		}
	}
	for id := range l.told {
		if l.orders[id] == nil {
			s.t.Errorf("nobody was told that %s was accepted, and its end is %q", id, l.told[id])
		}
	}
	done := c.done(ctx)
	for _, o := range l.orders {
		if n := done[o.change]; n < certain[o.change] || n > certain[o.change]+possible[o.change] {
			s.t.Errorf("%+v was done %d times; told was that it was done %d times, and unknown %d times", o.change, n, certain[o.change], possible[o.change])
		}
		delete(certain, o.change)
		delete(done, o.change)
	}
	for ch, n := range done {
		s.t.Errorf("%+v was done %d times, and nobody was told", ch, n)
	}
	s.t.Logf("%d orders, ends %v, %d answers by push", len(l.orders), ends, people[0].late+people[1].late)
}

// change is one effect: a deployment of shop gets another number of replicas.
type change struct {
	deployment string
	from, to   int
}

// specChanges is the practice cluster's own count of a deployment's changes: unlike the generation it does not move with the
// annotation by which an executor fences off a dead one.
const specChanges = "practice.palmops.io/spec-changes"

// followed is what the cluster goes through.
type followed struct {
	s       *split
	cancel  context.CancelFunc
	ended   chan struct{}
	mu      sync.Mutex
	begin   map[string]int64 // what generation counts, by deployment
	now     map[string]int64
	numbers map[string]int // of replicas
	changes map[change]int
	err     error
}

// follow watches the deployments of shop from now on.
func (s *split) follow(ctx context.Context) *followed {
	s.t.Helper()
	c := &followed{s: s, ended: make(chan struct{}), begin: map[string]int64{}, now: map[string]int64{}, numbers: map[string]int{}, changes: map[change]int{}}
	ctx, c.cancel = context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.cluster+"/apis/apps/v1/namespaces/shop/deployments?watch=1", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	first := make(chan struct{})
	go func() {
		defer close(c.ended)
		defer func() { _ = resp.Body.Close() }()
		for events := json.NewDecoder(resp.Body); ; {
			var ev struct {
				Object struct {
					Metadata struct {
						Name        string
						Annotations map[string]string
					}
					Spec struct{ Replicas int }
				}
			}
			if err := events.Decode(&ev); err != nil {
				c.mu.Lock()
				c.err = err
				c.mu.Unlock()
				return
			}
			d := ev.Object
			count, _ := strconv.ParseInt(d.Metadata.Annotations[specChanges], 10, 64) // none is 0
			c.saw(d.Metadata.Name, count, d.Spec.Replicas)
			if d.Metadata.Name == deployments[0] {
				select {
				case <-first:
				default:
					close(first)
				}
			}
		}
	}()
	s.t.Cleanup(func() {
		c.cancel()
		<-c.ended
		if s.t.Failed() {
			s.t.Logf("seen at the cluster: counts %v, replicas %v, changes %v, %v", c.now, c.numbers, c.changes, c.err)
		}
	})
	select {
	case <-first:
	case <-c.ended:
		s.t.Fatal(c.err)
	}
	return c
}

func (c *followed) saw(name string, count int64, replicas int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before, known := c.now[name]; !known {
		c.begin[name] = count
	} else if count != before {
		c.changes[change{name, c.numbers[name], replicas}]++
	}
	c.now[name], c.numbers[name] = count, replicas
}

// done is everything that was done so far, once the watch has caught up with the cluster.
func (c *followed) done(ctx context.Context) map[change]int {
	c.s.t.Helper()
	for _, name := range deployments {
		c.s.until(ctx, "the watch has seen everything", func() bool {
			now, _ := c.s.generation(ctx, name)
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.err != nil {
				c.s.t.Fatalf("the watch ended: %v", c.err)
			}
			return c.now[name] == now
		})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	steps, total := int64(0), int64(0)
	for _, n := range c.changes {
		steps += int64(n)
	}
	for name, now := range c.now {
		total += now - c.begin[name]
	}
	if total != steps {
		c.s.t.Errorf("the cluster counts %d changes, and %d were seen", total, steps)
	}
	return maps.Clone(c.changes)
}

func (ch change) String() string { return fmt.Sprintf("%s %d → %d", ch.deployment, ch.from, ch.to) }
