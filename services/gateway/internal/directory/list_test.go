package directory

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
)

// clock is a time that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)} }

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) later(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

func (s *source) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *source) count(n *int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return *n
}

func TestListsOverTheBus(t *testing.T) {
	b := bustest.New(t).Connect("test")
	c := newClock()
	d := newDirectory(t, newSource(), c.time)
	stop, err := d.Serve(b)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	everybody := []wire.Item{{Value: "lisi", Label: "李四"}, {Value: "zhangsan", Label: "张三"}}
	for _, tc := range []struct {
		q    wire.PersonQuery
		want []wire.Item
	}{
		{wire.PersonQuery{List: wire.ListMembers}, everybody},
		{wire.PersonQuery{List: wire.ListMembers, In: 1}, everybody},
		{wire.PersonQuery{List: wire.ListMembers, In: 7}, everybody[:1]},
		{wire.PersonQuery{List: wire.ListDepartments}, []wire.Item{
			{Value: "1", Label: "公司"}, {Value: "2", Label: "研发", Detail: "公司"}, {Value: "3", Detail: "公司"}, {Value: "7", Label: "运维", Detail: "研发"},
		}},
		{wire.PersonQuery{List: wire.ListDepartments, In: 7}, []wire.Item{{Value: "7", Label: "其中一个"}}},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		var got wire.Answer
		err := b.Ask(ctx, wire.DirSubject("ww1", "ops"), tc.q, &got)
		cancel()
		if diff := cmp.Diff(wire.Answer{V: 1, Items: tc.want, AsOf: c.time().UnixMilli()}, got); err != nil || diff != "" {
			t.Errorf("%+v: %v %s", tc.q, err, diff)
		}
	}
}

func TestListsThatFail(t *testing.T) {
	s := newSource()
	d := newDirectory(t, s, newClock().time)
	ask := func(q wire.PersonQuery) string {
		a := d.List(context.Background(), q)
		if a.Fault == nil || a.Fault.Text == "" || a.Items != nil || a.AsOf != 0 {
			t.Fatalf("%+v: %+v", q, a)
		}
		return a.Fault.Kind
	}
	if kind := ask(wire.PersonQuery{List: wire.ListMembers, In: 77}); kind != "not_found" {
		t.Error(kind)
	}
	if kind := ask(wire.PersonQuery{List: wire.ListMembers, In: -1}); kind != "invalid" {
		t.Error(kind)
	}
	if kind := ask(wire.PersonQuery{List: "everything"}); kind != "invalid" {
		t.Error(kind)
	}
	s.change(func() { s.listErr = fault.New(fault.Transient, "no answer") })
	if kind := ask(wire.PersonQuery{List: wire.ListDepartments}); kind != "transient" {
		t.Error(kind)
	}
	// A failure is not remembered.
	s.change(func() { s.listErr = nil })
	if a := d.List(context.Background(), wire.PersonQuery{List: wire.ListDepartments}); a.Fault != nil {
		t.Errorf("%+v", a)
	}
	s.change(func() { s.treeErr = fault.New(fault.Transient, "no answer") })
	if kind := ask(wire.PersonQuery{List: wire.ListMembers}); kind != "transient" {
		t.Error(kind)
	}
}

// A list is read once a minute, however many ask, and as many lists are kept as there is room for.
func TestListsAreReadOnceAMinute(t *testing.T) {
	s, c := newSource(), newClock()
	d := newDirectory(t, s, c.time)
	many := func() {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if a := d.List(context.Background(), wire.PersonQuery{List: wire.ListMembers, In: 7}); a.Fault != nil || len(a.Items) != 1 {
					t.Errorf("%+v", a)
				}
			})
		}
		wg.Wait()
	}
	many()
	first := c.time().UnixMilli()
	c.later(59 * time.Second)
	many()
	if a := d.List(context.Background(), wire.PersonQuery{List: wire.ListMembers, In: 7}); a.AsOf != first || s.count(&s.lists) != 1 {
		t.Errorf("%d readings, as of %d", s.lists, a.AsOf)
	}
	c.later(time.Second)
	many()
	if n := s.count(&s.lists); n != 2 {
		t.Errorf("%d readings", n)
	}
	for i := range 3 * maxLists {
		d.List(context.Background(), wire.PersonQuery{List: wire.ListDepartments, In: int64(i + 1)})
	}
	if len(d.lists) > maxLists {
		t.Errorf("%d lists are kept", len(d.lists))
	}
}

func TestALongListIsCutAndSaysSo(t *testing.T) {
	s := newSource()
	for i := range maxItems + 5 {
		s.members[7] = append(s.members[7], wecom.Member{UserID: fmt.Sprintf("u%05d", i), Name: "x"})
	}
	a := newDirectory(t, s, time.Now).List(context.Background(), wire.PersonQuery{List: wire.ListMembers, In: 7})
	if len(a.Items) != maxItems || a.Fields["total"] != fmt.Sprint(maxItems+6) {
		t.Errorf("%d items, %v", len(a.Items), a.Fields)
	}
}

// Tags are read once a minute. While they cannot be read, the last ones count for ten minutes, and then nobody's do.
func TestTagsOutliveAFailure(t *testing.T) {
	s, c := newSource(), newClock()
	d := newDirectory(t, s, c.time)
	tags := func() string {
		p := d.Person(context.Background(), wire.PersonQuery{User: "lisi"})
		if p.Fault != nil {
			return p.Fault.Kind
		}
		return fmt.Sprint(p.Tags)
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got := tags(); got != "[10 20 30]" {
				t.Error(got)
			}
		})
	}
	wg.Wait()
	c.later(59 * time.Second)
	if got := tags(); got != "[10 20 30]" || s.count(&s.tagReads) != 1 {
		t.Errorf("%s, %d readings", got, s.tagReads)
	}

	c.later(time.Second)
	s.change(func() { s.tagsErr = &wecom.APIError{Code: 45033} })
	for range 3 { // and WeCom is not asked again at once
		if got := tags(); got != "[10 20 30]" || s.count(&s.tagReads) != 2 {
			t.Errorf("%s, %d readings", got, s.tagReads)
		}
	}
	c.later(tagsPause)
	s.change(func() { s.tagsErr, s.tagErr = nil, fault.New(fault.Internal, "one tag") })
	if got := tags(); got != "[10 20 30]" || s.count(&s.tagReads) != 3 {
		t.Errorf("one tag fails: %s, %d readings", got, s.tagReads)
	}
	c.later(tagsLast - time.Minute - tagsPause)
	if got := tags(); got != "internal" {
		t.Errorf("tags of ten minutes ago: %s", got)
	}

	s.change(func() { s.tagErr, s.tags = nil, s.tags[:1] })
	if got := tags(); got != "[30]" {
		t.Error(got)
	}
}

// Who asks while tags are slow to come gets the last ones, and the reading goes on for the next.
func TestSlowTagsHoldNobodyUp(t *testing.T) {
	s, c := newSource(), newClock()
	d := newDirectory(t, s, c.time)
	d.tags.patience = time.Millisecond
	ask := func() wire.Person { return d.Person(context.Background(), wire.PersonQuery{User: "lisi"}) }
	if p := ask(); len(p.Tags) != 3 {
		t.Fatalf("%+v", p)
	}
	hold := make(chan struct{})
	s.change(func() { s.hold, s.tags = hold, s.tags[:1] })
	c.later(2 * time.Minute)
	if p := ask(); p.Fault != nil || len(p.Tags) != 3 {
		t.Errorf("%+v", p)
	}
	close(hold)
	d.flights.running.Wait()
	if p := ask(); len(p.Tags) != 1 || s.count(&s.tagReads) != 2 {
		t.Errorf("%+v, %d readings", p, s.tagReads)
	}

	// Without any tags yet, there is no answer to give; a stop ends the reading.
	s.change(func() { s.hold = make(chan struct{}) })
	d = newDirectory(t, s, c.time)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if p := d.Person(ctx, wire.PersonQuery{User: "lisi"}); p.Fault == nil || p.Fault.Kind != "transient" {
		t.Errorf("%+v", p)
	}
	stop, err := d.Serve(bustest.New(t).Connect("test"))
	if err != nil {
		t.Fatal(err)
	}
	stop()
}

func TestTops(t *testing.T) {
	for want, parents := range map[string]map[int64]int64{
		"[1]": {1: 0, 2: 1, 3: 2}, "[2 9]": {2: 1, 3: 2, 9: 4}, "[]": {},
	} {
		if got := fmt.Sprint(tops(parents)); got != want {
			t.Errorf("%v: %s", parents, got)
		}
	}
}
