package policy_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"palmops/libs/conf"
	"palmops/libs/fault"
	"palmops/services/dialog/policy"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden holds the problems of a file against those that are kept beside it.
func golden(t *testing.T, err error, name string) {
	t.Helper()
	if err == nil || !fault.Is(err, fault.Invalid) {
		t.Fatalf("got %v", err)
	}
	path := filepath.Join("testdata", name+".golden")
	got := strings.ReplaceAll(err.Error(), "testdata"+string(filepath.Separator), "") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, rerr := os.ReadFile(path)
	if rerr != nil {
		t.Fatal(rerr)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	_, err := policy.Load("testdata/wrong.yaml")
	golden(t, err, "wrong")
}

func TestWhatTheMenuDoesNotHaveIsRefused(t *testing.T) {
	p, err := policy.Load("testdata/misfit.yaml")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, p.Validate(testMenu(t)), "misfit")
}

func TestFilesThatCannotBeRead(t *testing.T) {
	if _, err := policy.Load("testdata/none.yaml"); err == nil || !strings.Contains(err.Error(), "testdata/none.yaml: ") {
		t.Errorf("got %v", err)
	}
	for text, want := range map[string]string{
		"":                                       "the file is empty",
		"version: 1":                             "p.yaml:1: a policy needs the key roles",
		"[]":                                     "p.yaml:1: a policy must have the keys",
		"version: 1\nroles: &r {}\ngrants: *r\n": "anchors and aliases are not allowed",
		"a: [":                                   "p.yaml:2: ",
		strings.Repeat("#", conf.MaxFile+1):      "the limit is",
	} {
		if p, err := policy.Parse("p.yaml", []byte(text)); p != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", text, err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	many := func(n int, entry func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(entry(i))
		}
		return b.String()
	}
	text := func(roles, grants, freezes int) string {
		return "version: 1\nroles:\n" + many(roles, func(i int) string { return fmt.Sprintf("  r%d: {users: [u]}\n", i) }) +
			"grants:\n" + many(grants, func(int) string { return "  - {role: r0, menu: [a]}\n" }) +
			"freezes:\n" + many(freezes, func(i int) string {
			return fmt.Sprintf("  - {name: f%d, from: 2026-01-01 00:00, to: 2026-01-02 00:00, reason: x}\n", i)
		})
	}
	p := parse(t, text(policy.MaxRoles, policy.MaxGrants, policy.MaxFreezes))
	if len(p.Grants()) != policy.MaxGrants || len(p.Freezes()) != policy.MaxFreezes {
		t.Error("something is missing")
	}
	p.Bind(testMenu(t)).For(person("u"), monday)
	for _, more := range []string{
		text(policy.MaxRoles+1, 1, 1), text(1, policy.MaxGrants+1, 1), text(1, 1, policy.MaxFreezes+1),
	} {
		if _, err := policy.Parse("p.yaml", []byte(more)); err == nil || !strings.Contains(err.Error(), " entries, the limit is ") {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"wrong.yaml", "misfit.yaml"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("version: 1\ntimezone: UTC\nroles: {ops: {users: [a], not_users: [b]}}\ngrants: [{role: ops, menu: [retail], actions: [k8s.*], args: {replicas: {max: 3}}, hours: {days: [fri-mon]}}]\n"))
	m := testMenu(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := policy.Parse("p.yaml", data)
		if (p == nil) == (err == nil) {
			t.Fatalf("policy %v and error %v", p, err)
		}
		if p == nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%v is no mistake of the file", err)
			}
			return
		}
		_ = p.Validate(m) // whether it fits or not, it must bind
		b := p.Bind(m)
		for _, who := range []string{"u", "a"} {
			l := b.For(person(who), monday)
			for _, id := range m.IDs() {
				if n := m.Node(id); l.Decide(n, nil).Allowed && !l.Sees(n) {
					t.Fatalf("%s is allowed and not seen", id)
				}
			}
		}
	})
}
