package media_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"palmops/libs/fault"
	"palmops/services/simulator/internal/media"
)

type clock struct{ now time.Time }

func (c *clock) time() time.Time { return c.now }

func open(t *testing.T, dir string, c *clock) *media.Store {
	t.Helper()
	s, err := media.Open(dir, c.time)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t *testing.T, s *media.Store, name, data string) media.File {
	t.Helper()
	f, err := s.Put("file", name, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func wantData(t *testing.T, s *media.Store, f media.File, data string) {
	t.Helper()
	if name, got, err := s.Read(f.ID); err != nil || name != f.Name || string(got) != data {
		t.Errorf("%q, %.40q, %v", name, got, err)
	}
}

func wantGone(t *testing.T, s *media.Store, id string) {
	t.Helper()
	if _, _, err := s.Read(id); !fault.Is(err, fault.NotFound) {
		t.Errorf("%s: %v", id, err)
	}
	if _, ok := s.Stat(id); ok {
		t.Errorf("%s is there", id)
	}
}

func TestThreeDays(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			c := &clock{time.Unix(1_800_000_000, 0)}
			s := open(t, dir, c)
			first := put(t, s, "日志.txt", "one")
			c.now = c.now.Add(time.Hour)
			second := put(t, s, "b", "two")
			wantData(t, s, first, "one")
			c.now = c.now.Add(71 * time.Hour)
			wantGone(t, s, first.ID)
			wantData(t, s, second, "two")
			for _, id := range []string{"", "..", "../" + second.ID, strings.ToLower(second.ID)} {
				wantGone(t, s, id)
			}
		})
	}
}

func TestRestartAndDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "media")
	c := &clock{time.Unix(1_800_000_000, 0)}
	s := open(t, dir, c)
	whole, short, bare := put(t, s, "whole", "data"), put(t, s, "short", "data"), put(t, s, "bare", "data")
	if err := os.WriteFile(filepath.Join(dir, short.ID), []byte("da"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, bare.ID+".json")); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "notes.json")
	if err := os.WriteFile(foreign, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, c)
	wantData(t, s, whole, "data")
	wantGone(t, s, short.ID)
	wantGone(t, s, bare.ID)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("%v, %v", entries, err)
	}
	c.now = c.now.Add(72 * time.Hour)
	s = open(t, dir, c)
	wantGone(t, s, whole.ID)
	if entries, err = os.ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != "notes.json" {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestBounds(t *testing.T) {
	c := &clock{time.Unix(1_800_000_000, 0)}
	s := open(t, "", c)
	first := put(t, s, "first", "x")
	for range 499 {
		put(t, s, "n", "x")
	}
	wantData(t, s, first, "x")
	second := put(t, s, "second", "x")
	wantGone(t, s, first.ID)
	big := strings.Repeat("y", 20<<20)
	for range 3 {
		put(t, s, "big", big)
	}
	last := put(t, s, "big", big)
	wantGone(t, s, second.ID)
	if _, ok := s.Stat(last.ID); !ok {
		t.Error("the newest is gone")
	}
}
