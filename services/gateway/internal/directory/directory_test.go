package directory

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"palmops/libs/bus/bustest"
	"palmops/libs/fault"
	"palmops/libs/wecom"
	"palmops/libs/wire"
	"palmops/services/gateway/internal/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type source struct {
	mu          sync.Mutex
	users       map[string]wecom.User
	departments []wecom.Department
	userErr     error
	treeErr     error
	trees       int

	members  map[int64][]wecom.Member
	listErr  error
	lists    int
	tags     []wecom.Tag
	tagged   map[int64]wecom.Tagged
	tagsErr  error
	tagErr   error
	tagReads int
	hold     chan struct{} // when set, the list of tags waits for it
}

func (s *source) User(_ context.Context, id string) (wecom.User, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.users[id]; ok || s.userErr != nil {
		return u, s.userErr
	}
	return wecom.User{}, &wecom.APIError{API: "user/get", Code: 60111}
}

func (s *source) Departments(context.Context) ([]wecom.Department, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trees++
	return s.departments, s.treeErr
}

func (s *source) NamedDepartments(_ context.Context, under int64) ([]wecom.Department, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	if under > 0 {
		return []wecom.Department{{ID: under, ParentID: 1, Name: "其中一个"}}, s.listErr
	}
	return slices.Clone(s.departments), s.listErr
}

func (s *source) Members(_ context.Context, department int64, below bool) ([]wecom.Member, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	if list, ok := s.members[department]; ok && below {
		return list, s.listErr
	}
	return nil, &wecom.APIError{API: "user/simplelist", Code: 60003}
}

func (s *source) Tags(ctx context.Context) ([]wecom.Tag, error) {
	s.mu.Lock()
	s.tagReads++
	tags, err, hold := s.tags, s.tagsErr, s.hold
	s.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, fault.Wrap(fault.Transient, ctx.Err(), "tags")
		}
	}
	return tags, err
}

func (s *source) Tagged(_ context.Context, tag int64) (wecom.Tagged, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tagged[tag]; ok || s.tagErr != nil {
		return t, s.tagErr
	}
	return wecom.Tagged{}, &wecom.APIError{API: "tag/get", Code: 40068}
}

func newSource() *source {
	return &source{
		users: map[string]wecom.User{
			"lisi": {UserID: "LiSi", Name: "李四", Departments: []int64{7, 3}, Status: 1},
			"gone": {UserID: "gone", Name: "走了", Status: 5},
		},
		departments: []wecom.Department{{ID: 1, Name: "公司"}, {ID: 2, ParentID: 1, Name: "研发"}, {ID: 3, ParentID: 1}, {ID: 7, ParentID: 2, Name: "运维"}},
		members: map[int64][]wecom.Member{
			1: {{UserID: "ZhangSan", Name: "张三"}, {UserID: "LiSi", Name: "李四"}, {UserID: "lisi", Name: "李四"}},
			7: {{UserID: "LiSi", Name: "李四"}},
		},
		tags: []wecom.Tag{{ID: 30}, {ID: 20}, {ID: 10}, {ID: 40}, {ID: 50}, {ID: 99}},
		tagged: map[int64]wecom.Tagged{
			30: {Members: []wecom.Member{{UserID: "LiSi"}}},
			20: {Departments: []int64{2}},                                            // above department 7
			10: {Departments: []int64{7}, Members: []wecom.Member{{UserID: "lisi"}}}, // twice the same
			40: {Departments: []int64{8}, Members: []wecom.Member{{UserID: "zhangsan"}}},
			50: {},
		}, // and 99 was deleted meanwhile
	}
}

func newDirectory(t *testing.T, s Source, now func() time.Time) *Directory {
	t.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return New("ww1", "ops", s, m, zap.NewNop(), now)
}

func TestPersonsOverTheBus(t *testing.T) {
	b := bustest.New(t).Connect("test")
	s := newSource()
	d := newDirectory(t, s, time.Now)
	stop, err := d.Serve(b)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for user, want := range map[string]wire.Person{
		"lisi":     {V: 1, User: "lisi", Found: true, Name: "李四", Departments: []int64{1, 2, 3, 7}, Tags: []int64{10, 20, 30}, Active: true},
		"gone":     {V: 1, User: "gone", Found: true, Name: "走了"},
		"stranger": {V: 1, User: "stranger"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		var got wire.Person
		err := b.Ask(ctx, wire.DirSubject("ww1", "ops"), wire.PersonQuery{V: 1, User: user}, &got)
		cancel()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", user, err, diff)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var got wire.Person
	if err := b.Ask(ctx, wire.DirSubject("ww1", "ops"), "not a question", &got); err != nil || got.Fault == nil || got.Fault.Kind != "invalid" {
		t.Errorf("%+v %v", got, err)
	}
}

// A directory that does not answer is a fault, never a person without rights or a stranger.
func TestFailuresAreFaults(t *testing.T) {
	for name, change := range map[string]func(*source){
		"user":        func(s *source) { s.userErr = fault.New(fault.Transient, "no answer: secret") },
		"departments": func(s *source) { s.treeErr = &wecom.APIError{Code: 48002} },
		"not allowed": func(s *source) { s.userErr = &wecom.APIError{Code: 60020} },
	} {
		s := newSource()
		change(s)
		p := newDirectory(t, s, time.Now).Person(context.Background(), wire.PersonQuery{User: "lisi"})
		if p.Found || p.Active || p.Fault == nil || p.Fault.Text == "" || p.Fault.Kind == "" || p.Departments != nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

// The tree is read once a minute, also when many ask at once; a failed reading is not remembered.
func TestTheTreeIsReadOnceAMinute(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	s := newSource()
	d := newDirectory(t, s, func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	later := func(by time.Duration) { mu.Lock(); now = now.Add(by); mu.Unlock() }
	many := func() {
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if p := d.Person(context.Background(), wire.PersonQuery{User: "lisi"}); !p.Found {
					t.Errorf("%+v", p)
				}
			})
		}
		wg.Wait()
	}
	many()
	later(59 * time.Second)
	many()
	if s.trees != 1 {
		t.Errorf("read %d times within a minute", s.trees)
	}
	later(time.Second)
	s.departments = append(s.departments[:3:3], wecom.Department{ID: 7, ParentID: 3})
	p := d.Person(context.Background(), wire.PersonQuery{User: "lisi"})
	if s.trees != 2 || slices.Contains(p.Departments, 2) {
		t.Errorf("%d readings, %+v", s.trees, p)
	}
	later(time.Hour)
	s.treeErr = fault.New(fault.Transient, "x")
	if p := d.Person(context.Background(), wire.PersonQuery{User: "lisi"}); p.Fault == nil {
		t.Errorf("an old tree was taken: %+v", p)
	}
	s.treeErr = nil
	if p := d.Person(context.Background(), wire.PersonQuery{User: "lisi"}); p.Fault != nil {
		t.Errorf("%+v", p)
	}
}

// Whatever the tree, circles included, the way up ends, holds the own departments, and has no repeats.
func TestAncestorsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Int64Range(0, 12)
		parents := rapid.MapOf(id, id).Draw(t, "parents")
		own := rapid.SliceOf(rapid.Int64Range(1, 12)).Draw(t, "own")
		all := ancestors(parents, own)
		if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
			t.Fatalf("%v", all)
		}
		for _, d := range own {
			if !slices.Contains(all, d) {
				t.Fatalf("%v lacks %d", all, d)
			}
		}
		for _, d := range all {
			if p := parents[d]; p > 0 && !slices.Contains(all, p) {
				t.Fatalf("%v lacks %d above %d", all, p, d)
			}
		}
	})
}
